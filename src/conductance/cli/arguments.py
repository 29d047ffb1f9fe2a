"""Options from the words of a command, read by `tyro`; a mistake in them becomes an error of one line."""

import re
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from io import StringIO
from typing import Any, TypeVar

import tyro

from conductance.errors import InputError

Parsed = TypeVar("Parsed")


def parse(kind: Callable[..., Parsed], command: str, arguments: Sequence[str], default: Any = None) -> Parsed:
    """An instance of a dataclass, its fields read from the words of a command.

    Args:
        kind: the dataclass; its docstrings are the help.
        command: what stands before the options, such as ``train mnist-cnn-cwa``.
        arguments: the options.
        default: an instance with the values of options that are left out.

    Raises:
        InputError: an option that does not exist, lacks its value, or has one of the wrong kind.
        SystemExit: the words ask for help, which is printed.
    """
    program, complaint = f"conductance {command}", StringIO()
    given = {} if default is None else {"default": default}
    try:
        with redirect_stderr(complaint):
            return tyro.cli(kind, args=arguments, prog=program, **given)
    except SystemExit as end:
        if not end.code:
            raise
        raise InputError(f"{in_one_line(complaint.getvalue())} ({program} --help lists all options)") from None


LONGEST = 300  # characters of a complaint: some people paste a whole file
PLAINER = (
    (r"Missing from [^:]*: (\S+) (.*) \(required\)", r"missing \1: \2"),
    (r"Error parsing (\S+): invalid literal for int\(\) with base 10: (.*)", r"\1: \2 is not an integer"),
    (r"Error parsing (\S+): could not convert string to float: (.*)", r"\1: \2 is not a number"),
    (r"Error parsing (.*)", r"\1"),
)
"""What tyro says, and what is said here instead."""


def in_one_line(box: str) -> str:
    """The message in a box that tyro draws, with the names of the options that it suggests.

    >>> in_one_line("╭─ Title ──╮│ Unrecognized options: --epoch │ ─── │ Similar: \\n     --epochs INT │")
    'unrecognized options: --epoch; did you mean --epochs?'
    """
    rule = "─{2,}|(?m:^ +-{4,} *$)"  # the latter where the terminal has no such lines
    _, first, *others = re.split(rule, re.sub("[│╭╮╰╯]", "", f"{box}\n")) if re.search(rule, box) else ("", box)
    message = " ".join(first.split()).removesuffix(".")
    for pattern, plainer in PLAINER:
        message = re.sub(f"^{pattern}$", plainer, message)
    message = message[:1].lower() + message[1:]
    if len(message) > LONGEST:
        message = message[:LONGEST] + "..."
    if not message.startswith("unrecognized"):
        return message
    suggested = re.findall(r"^ +(--[\w.-]+)", "\n".join(others), re.MULTILINE)
    return f"{message}; did you mean {' or '.join(suggested)}?" if suggested else message
