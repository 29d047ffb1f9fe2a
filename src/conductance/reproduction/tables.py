"""The paper's tables with what was measured beside them, as CSV, as Markdown, as a page and for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conductance.extras import import_extra
from conductance.files import write_table, write_text
from conductance.report.table import NOTHING, Column, duration, markdown_of, percent, with_spread
from conductance.reproduction.claims import COLUMNS, NUMERIC, Finding, claim_lines, claims_table
from conductance.reproduction.outside import outside_the_tables
from conductance.reproduction.page import write_page
from conductance.reproduction.paper import TABLES
from conductance.reproduction.recipes import FORMER_NAMES, RECIPES
from conductance.reproduction.rows import PaperRow, paper_rows
from conductance.runs.groups import group_runs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rich.table import Table

    from conductance.runs.run import Run

PAPER_COLUMNS: tuple[Column[PaperRow], ...] = (
    Column("Data", lambda row: row.dataset),
    Column("Network", lambda row: row.architecture),
    Column("Family", lambda row: row.family),
    Column("Paper %", lambda row: f"{row.paper:.2f}", numeric=True),
    Column("Here %", lambda row: with_spread(row.mean, row.std), numeric=True),
    Column("Difference", lambda row: NOTHING if row.difference is None else f"{row.difference:+.2f}", numeric=True),
    Column("Best %", lambda row: percent(row.best_mean), numeric=True),
    Column("Seeds", lambda row: str(row.seeds), numeric=True),
    Column("Epochs", lambda row: row.epochs or NOTHING, numeric=True),
    Column("Paper's figure after", lambda row: row.reached or NOTHING, numeric=True),
    Column("Time", lambda row: duration(row.seconds_per_run), numeric=True),
    Column("Recipe", lambda row: f"{row.recipe}; mixes {row.mixes}" if row.mixes else row.recipe),
)


def write_tables(runs: Sequence[Run], out: Path, *, further: Sequence[Finding] = (), page: bool = True) -> list[Path]:
    """Write ``table1`` and ``table2`` as CSV and Markdown, ``claims.md``, and ``tables.html`` with learning curves.

    Args:
        runs: of any recipes.
        out: where to.
        further: findings about claims that no two cells decide, from elsewhere.
        page: whether to write ``tables.html``.

    Returns:
        The files.
    """
    tables = {table: paper_rows(table, runs) for table in TABLES}
    rows = [row for table in tables.values() for row in table]
    written = [out / "claims.md"]
    further = [*outside_the_tables(rows), *further]
    write_text(written[0], claims_table(rows, further))
    for name, table in tables.items():
        written += [_write_csv(table, out / f"{name}.csv"), _write_markdown(table, out / f"{name}.md")]
    if page:
        groups = group_runs(run for run in runs if run.kind in {row.kind for row in rows})
        claims = (COLUMNS, NUMERIC, claim_lines(rows, further))
        written.append(write_page(tables, PAPER_COLUMNS, groups, claims, out / "tables.html"))
    return written


def is_reproduction(path: Path) -> bool:
    """Whether a folder holds the runs of ``conductance reproduce``, sorted by recipe, and no others."""
    children = [child for child in path.iterdir() if child.is_dir()]
    recipes = [child for child in children if child.name in {*RECIPES, *FORMER_NAMES}]
    others = [child for child in children if child not in recipes]
    return any(any(recipe.glob("*/config.json")) for recipe in recipes) and not any(
        any(other.rglob("config.json")) for other in others
    )


def _write_csv(rows: Sequence[PaperRow], path: Path) -> Path:
    """The measured rows: accuracies to 0.001 points, times to 0.1 s. Open cells have no line."""
    digits = {"mean": 3, "std": 3, "best_mean": 3, "seconds_per_run": 1}
    records = [row.record() for row in rows if row.seeds]
    for record in records:
        record |= {name: round(record[name], n) for name, n in digits.items() if record[name] is not None}
    columns = [name for name in PaperRow.__annotations__ if name != "runs"]
    write_table(path, columns, records)
    return path


def _write_markdown(rows: Sequence[PaperRow], path: Path) -> Path:
    """All rows, the open ones too, as a GitHub-flavored table."""
    write_text(path, markdown_of(PAPER_COLUMNS, rows))
    return path


def terminal_paper_table(rows: Sequence[PaperRow]) -> Table:
    """What fits on a narrow screen, as a rich table, for `rich.print`."""
    import_extra("rich", "to show a table", "report")
    from rich.table import Table
    from rich.text import Text

    columns = [column for column in PAPER_COLUMNS if column.heading in ("Paper %", "Here %", "Seeds", "Recipe")]
    table = Table("Cell", box=None)
    for column in columns:
        table.add_column(column.heading, justify="right" if column.numeric else "left", no_wrap=column.numeric)
    for row in rows:
        table.add_row("-".join(row.kind), *(Text(column.text(row)) for column in columns))
    return table
