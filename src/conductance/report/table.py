"""Rows as a table: for a terminal, for Markdown and as CSV."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from conductance.extras import import_extra
from conductance.files import write_table, write_text
from conductance.printable import in_markdown
from conductance.report.rows import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.table import Table

NOTHING = "\N{EN DASH}"


AnyRow = TypeVar("AnyRow")


@dataclass(frozen=True)
class Column(Generic[AnyRow]):
    """A heading, and the text of a row under it. Numeric columns are aligned to the right."""

    heading: str
    text: Callable[[AnyRow], str]
    numeric: bool = False


COLUMNS: tuple[Column[Row], ...] = (
    Column("Data", lambda row: row.dataset),
    Column("Network", lambda row: row.architecture),
    Column("Family", lambda row: row.label),
    Column("Test %", lambda row: with_spread(row.test_accuracy, row.test_accuracy_std), numeric=True),
    Column("Best %", lambda row: percent(row.best_test_accuracy), numeric=True),
    Column("Train %", lambda row: percent(row.train_accuracy), numeric=True),
    Column("Seeds", lambda row: str(len(row.seeds)), numeric=True),
    Column("Epochs", lambda row: str(row.epochs), numeric=True),
    Column("Time", lambda row: duration(row.seconds), numeric=True),
)


def note_below(rows: Sequence[Row]) -> str:
    """What the means hide, in a sentence each: unfinished runs, which are left out, and settings that differ."""
    unfinished = [f"{row.name}, {progress}" for row in rows for progress in row.unfinished]
    unlike = [f"{row.name}, {settings}" for row in rows for settings in row.varying]
    mixed = [f"{row.name}, {row.mixes}" for row in rows if row.mixes]
    return " ".join(
        f"{what}: {'; '.join(runs)}."
        for what, runs in (
            ("Unfinished and left out", unfinished),
            ("Different settings under one name", unlike),
            ("Seeds that mix precisions or commits", mixed),
        )
        if runs
    )


def terminal_table(rows: Sequence[Row]) -> Table:
    """A rich table, for `rich.print`, with the text of `note_below` as its caption."""
    import_extra("rich", "to show a table", "report")
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    note = Text(note_below(rows))
    table = Table(
        box=SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=0,
        caption=note or None,
        caption_justify="left",
    )
    for column in COLUMNS:
        table.add_column(
            column.heading,
            justify="right" if column.numeric else "left",
            no_wrap=column.numeric,
            min_width=_least_width(column, rows),
            overflow="fold",
        )
    for row in rows:
        table.add_row(*(Text(column.text(row)) for column in COLUMNS))
    return table


def _least_width(column: Column[Row], rows: Sequence[Row]) -> int:
    """Numbers are never shortened; a name that is longer than a family's is folded."""
    longest = max((len(column.text(row)) for row in rows), default=0)
    if column.numeric:
        return max(len(column.heading), longest)
    return min(len("affine_bn") if column.heading == "Family" else 6, longest)


def markdown_table(rows: Sequence[Row]) -> str:
    """A GitHub-flavored Markdown table that ends in a newline, followed by the text of `note_below`."""
    table = markdown_of(COLUMNS, rows)
    note = note_below(rows)
    return f"{table}\n{in_markdown(note)}\n" if note else table


def markdown_of(columns: Sequence[Column[AnyRow]], rows: Sequence[AnyRow]) -> str:
    """Rows as a Markdown table with these columns."""
    cells = [[in_markdown(column.text(row)) for column in columns] for row in rows]
    return _lines([column.heading for column in columns], [column.numeric for column in columns], cells)


def markdown_lines(headings: Sequence[str], numeric: Sequence[bool], rows: Sequence[Sequence[str]]) -> str:
    """A GitHub-flavored Markdown table, with numeric columns aligned to the right; texts may hold Markdown."""
    return _lines(headings, numeric, [[_on_one_line(text) for text in row] for row in rows])


def _lines(headings: Sequence[str], numeric: Sequence[bool], rows: Sequence[Sequence[str]]) -> str:
    lines = [headings, ["--:" if right else ":--" for right in numeric], *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def write_markdown(rows: Sequence[Row], path: str | Path) -> Path:
    """Write the table of `markdown_table` to a file."""
    write_text(Path(path), markdown_table(rows))
    return Path(path)


def write_csv(rows: Sequence[Row], path: str | Path) -> Path:
    """Write every field of every row at full precision, lists joined by semicolons, unknown numbers left empty."""
    lists = [
        {name: ";".join(map(str, getattr(row, name))) for name in ("seeds", "unfinished", "varying")} for row in rows
    ]
    records = [asdict(row) | joined for row, joined in zip(rows, lists, strict=True)]
    write_table(Path(path), [field.name for field in fields(Row)], records)
    return Path(path)


def percent(value: float | None) -> str:
    """An accuracy to a hundredth of a point."""
    return NOTHING if value is None else f"{value:.2f}"


def with_spread(mean: float | None, spread: float | None) -> str:
    """A mean and its standard deviation; a dash for what is unknown.

    >>> with_spread(98.5, 0.7071), with_spread(98.0, None), with_spread(None, None)
    ('98.50 ± 0.71', '98.00 ± –', '–')
    """
    return NOTHING if mean is None else f"{mean:.2f} ± {percent(spread)}"


def duration(seconds: float | None) -> str:
    """A duration in seconds, minutes or hours.

    >>> duration(3.25), duration(125.0), duration(7380.0)
    ('3.2 s', '2.1 min', '2.0 h')
    """
    if seconds is None:
        return NOTHING
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"


def _on_one_line(text: str) -> str:
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|")
