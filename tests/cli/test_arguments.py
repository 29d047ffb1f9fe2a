"""Words of a command become options; a mistake in them is one line."""

import re
from dataclasses import dataclass
from typing import Literal

import pytest
import tyro
from hypothesis import given
from hypothesis import strategies as st

from conductance.cli.arguments import in_one_line, parse
from conductance.errors import InputError


@dataclass
class Arguments:
    """A command."""

    folder: tyro.conf.Positional[str]
    """the run's folder"""
    epochs: int = 1
    """passes over the images"""
    rate: float = 0.5
    """step size"""
    mode: Literal["slow", "fast"] = "slow"
    """pace"""


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("", "missing STR: the run's folder"),
        ("there --epoch 3", "unrecognized options: --epoch, 3; did you mean --epochs?"),
        ("there --epochs many", "--epochs: 'many' is not an integer"),
        ("there --rate much", "--rate: 'much' is not a number"),
        ("there --mode quick", "invalid choice 'quick' for argument '--mode'. Expected one of ('slow', 'fast')"),
        ("there --epochs", "missing value for argument '--epochs'. Expected 1 values"),
        ("here there", "unrecognized options: there"),
    ],
)
def test_a_mistake_says_what_and_where(words, complaint):
    with pytest.raises(InputError) as error:
        parse(Arguments, "go", words.split())
    assert str(error.value) == f"{complaint} (conductance go --help lists all options)"


def test_so_it_does_where_the_terminal_has_no_lines():
    lines = (
        "Required options",
        "-" * 20,
        " Missing from conductance go:",
        "    --out PATH",
        " a file (required)",
        "-" * 20,
    )
    box = "\n".join(f" {line:<30} " for line in (*lines, "For full helptext, run:"))
    assert in_one_line(box) == "missing --out: PATH a file"


WORDS = st.text(min_size=1, max_size=30).filter(lambda word: not word.startswith("-h") and "--help".find(word) < 0)


@given(st.lists(WORDS, max_size=6))
def test_whatever_is_typed_is_understood_or_refused_in_one_line(words):
    assert re.fullmatch(r"understood|[^\n╭╰]+ \(conductance go --help lists all options\)", outcome(words))


def outcome(words):
    """What came of these words: a complaint, or none."""
    try:
        parse(Arguments, "go", words)
    except InputError as error:
        return str(error)
    return "understood"


def test_words_replace_the_defaults():
    default = Arguments("there", epochs=4, rate=0.1)
    assert parse(Arguments, "go", ["here", "--rate", "0.2"], default) == Arguments("here", epochs=4, rate=0.2)


def test_a_message_without_a_box_is_kept():
    assert in_one_line("Something\n  else.") == "something else"
