"""docs/reliability.md: every promise names tests, and the tests are there."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/reliability.md").read_text()
PROMISES = re.findall(r"^\* (.*(?:\n  .*)*)", PAGE, re.MULTILINE)
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def functions_of(file):
    """The test functions of a file, by name."""
    return {part.name for part in ast.parse(file.read_text()).body if isinstance(part, ast.FunctionDef)}


def test_there_are_promises():
    assert len(PROMISES) > 8


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.split(".")[0][:60])
def test_a_promise_stands_beside_tests_that_are_there(promise):
    named = NAMED.findall(promise)
    assert named, "no test is named"
    assert promise.count("tests/") == len(named), "a test is not named as `tests/FILE.py::NAME`"
    for file, test in named:
        assert test.startswith("test_")
        assert test in functions_of(ROOT / file)
