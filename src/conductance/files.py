"""Files written whole or not at all."""

import csv
import io
import json
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from secrets import token_hex
from typing import IO, Any

from conductance.errors import ConductanceError
from conductance.printable import cell

RANDOM_BYTES = 8  # in the names of files that are not whole yet


def write_atomically(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Have ``write`` fill a file beside ``path`` that takes its place once it is whole and on disk.

    A reader sees the old file or the new one, never a part; a failure leaves the old one and nothing else. A link stays
    one, and who may read the file is as the process was told (its umask).

    Raises:
        ConductanceError: the file cannot be written there, or the disk is full.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        target = Path(os.path.realpath(path))
        temporary = target.with_name(f".{target.name}.{token_hex(RANDOM_BYTES)}")
        try:
            with temporary.open("xb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise ConductanceError(
            f"cannot write {path} ({error.strerror or error}); choose a place you may write to"
        ) from error


def is_temporary(file: Path, of: Path) -> bool:
    """Whether `file` is what a process that was killed left of one that was to take the place of `of`."""
    return re.fullmatch(rf"\.{re.escape(of.name)}\.[0-9a-f]{{{2 * RANDOM_BYTES}}}", file.name) is not None


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically, in UTF-8."""
    write_atomically(path, lambda file: file.write(text.encode()))


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write a JSON file atomically: a line for each field, lists of plain values on one line."""
    write_text(path, _to_json(values, "\n") + "\n")


def _to_json(value: Any, newline: str) -> str:
    if isinstance(value, Mapping) and value:
        fields = (f"{json.dumps(name)}: {_to_json(field, newline + '  ')}" for name, field in value.items())
        return "{" + ",".join(newline + "  " + field for field in fields) + newline + "}"
    if isinstance(value, list | tuple) and any(isinstance(item, Mapping) for item in value):
        return "[" + ",".join(newline + "  " + _to_json(item, newline + "  ") for item in value) + newline + "]"
    return json.dumps(value, separators=(",", ":"))


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows as CSV with a line of headings, atomically; None is left empty.

    No cell is a formula to a spreadsheet, see `conductance.printable.cell`.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(map(cell, columns))
    for row in rows:
        if further := row.keys() - set(columns):
            raise ValueError(f"a row has fields of no column: {', '.join(map(str, further))}")
        writer.writerow([cell(row.get(column)) for column in columns])
    write_text(path, text.getvalue())
