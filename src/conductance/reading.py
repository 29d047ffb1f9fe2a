"""Files that may come from anybody: read up to a size, and JSON parsed to plain values without surprises.

The readers of each kind of file turn what is raised here into one line with the file and the remedy.
"""

import json
import math
from pathlib import Path
from typing import Any

LARGEST_TEXT = 1 << 26
"""Bytes of the largest text file that is read: 64 MiB, far above any that this package writes."""

DEEPEST = 40
"""Lists and objects inside each other in the deepest JSON that is read."""

_DIGITS = 19
"""Of the largest integers, which fit into 64 bits; int() takes seconds for some thousand digits."""


def read_limited(path: Path, most: int) -> bytes:
    """The contents of a regular file of at most ``most`` bytes; no more than one byte beyond is read.

    Raises:
        OSError: it cannot be read.
        ValueError: it is longer, or no regular file: a pipe might never end.
    """
    if path.exists() and not path.is_file():
        raise ValueError("it is not a regular file")
    with path.open("rb") as file:
        contents = file.read(most + 1)
    if len(contents) > most:
        raise ValueError(f"it is larger than {most:,} bytes")
    return contents


def read_text(path: Path) -> str:
    """The contents of a text file in UTF-8.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no UTF-8, or larger than `LARGEST_TEXT`.
    """
    contents = read_limited(path, LARGEST_TEXT)
    try:
        return contents.decode()
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8 text") from None


def parse_json(text: str) -> Any:
    """The plain values that a JSON text stands for: finite numbers, integers of 64 bits, characters of Unicode.

    >>> parse_json('{"epochs": 3}')
    {'epochs': 3}

    Raises:
        ValueError: it is no JSON, or holds what no file of this package does; the message is one line.
    """
    try:
        values = json.loads(text, parse_int=_integer, parse_float=_finite, parse_constant=_finite)
    except json.JSONDecodeError as error:
        raise ValueError(f"it is not valid JSON: {error}") from None
    except RecursionError:
        raise ValueError(f"it is nested more than {DEEPEST} deep") from None
    _check(values)
    return values


def _integer(digits: str) -> int:
    if len(digits.lstrip("-")) > _DIGITS or not -(2**63) <= int(digits) < 2**63:
        raise ValueError(f"the number {digits[:12]}... has {len(digits)} digits" if len(digits) > 12 else digits)
    return int(digits)


def _finite(digits: str) -> float:
    if not math.isfinite(number := float(digits)):
        raise ValueError(f"{digits[:20]} is no finite number")
    return number


def _check(values: Any) -> None:
    """Check depth and characters, without recursion."""
    level, depth = [values], 0
    while level:
        if depth > DEEPEST:
            raise ValueError(f"it is nested more than {DEEPEST} deep")
        inside: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                inside += value.keys()
                inside += value.values()
            elif isinstance(value, list):
                inside += value
            elif isinstance(value, str) and not value.isascii():
                _check_text(value)
        level, depth = inside, depth + 1


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("it holds half a character (a lone surrogate)") from None
