"""Finished runs as rows beside the paper's: which cell and which recipe a run belongs to, read off its config.

As a program, from the folders of runs it is given, it writes the tables as CSV and Markdown, and claims.md.
"""

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from conductance.errors import ConductanceError, InputError
from conductance.files import write_text
from conductance.models import FAMILIES
from conductance.reproduction.claims import COLUMNS, NUMERIC, claim_lines, claims_table
from conductance.reproduction.page import write_paper_page
from conductance.reproduction.recipes import RECIPES
from conductance.reproduction.table import PaperRow, measured_row, open_row, write_paper_csv, write_paper_markdown
from conductance.reproduction.tables import TABLES, Cell
from conductance.runs import load_runs
from conductance.runs.config import config_from_dict
from conductance.runs.differences import HARDWARE_FIELDS, differing_fields
from conductance.runs.groups import Group, group_runs
from conductance.runs.names import preset_name
from conductance.runs.run import Run

EARLIER = "modern-v1"
"""The recipe `modern` before a run could choose its optimizer: Adam's steps were not yet shares of a layer's mean."""

_NO_PART_OF_A_RECIPE = HARDWARE_FIELDS | {"name", "seed", "epochs"}


def recipe_of(config: dict[str, Any], cell: Cell) -> tuple[str, int]:
    """By which recipe a run of ``cell`` was made, and how many epochs that recipe has.

    The recipe's name where the run's config is the recipe's but for name, seed and epochs. Else ``modern``, or
    `EARLIER`, with every field that differs.
    """
    known = config_from_dict(config).to_dict()
    earlier = "name" not in config["optimizer"]
    for recipe in RECIPES.values():
        if recipe.serves(cell) and not earlier and not _differences(recipe.config(cell).to_dict(), known):
            return recipe.name, recipe.config(cell).epochs
    modern = RECIPES["modern"].config(cell)
    return "; ".join([EARLIER if earlier else "modern", *_differences(modern.to_dict(), known)]), modern.epochs


def _differences(there: dict[str, Any], here: dict[str, Any]) -> list[str]:
    """What ``here`` has otherwise, as ``field=value``; the run's `_NO_PART_OF_A_RECIPE` does not count."""
    different = differing_fields(there, here).items()
    return [f"{name}={new}" for name, (_, new) in different if name not in _NO_PART_OF_A_RECIPE]


def paper_rows(table: str, runs: Iterable[Run]) -> list[PaperRow]:
    """The rows of one table, cell by cell: one for each recipe, name and length of its finished runs, or an open one.

    Raises:
        RunError: two finished runs of one row have the same seed.
        InputError: a run's config has fields that this version does not know.
    """
    runs = [run for run in runs if run.finished]
    return [row for cell in TABLES[table] for row in _rows_of(table, cell, runs)]


def _rows_of(table: str, cell: Cell, runs: list[Run]) -> list[PaperRow]:
    kind = (cell.dataset, cell.architecture, cell.family)
    made: dict[tuple[str, int], list[Run]] = {}
    for run in runs:
        if run.kind == kind:
            try:
                made.setdefault(recipe_of(run.settings, cell), []).append(run)
            except ConductanceError as error:
                raise InputError(f"{run.path}: {error}; leave it out of the folder") from None
    rows = []
    for (recipe, epochs), members in made.items():
        groups = group_runs(members)
        rows += [
            measured_row(table, cell.paper, group, recipe + _name_if_needed(group, groups), epochs) for group in groups
        ]
    rows.sort(
        key=lambda row: (not row.whole, list(RECIPES).index(row.recipe) if row.recipe in RECIPES else len(RECIPES))
    )
    return rows or [open_row(table, *kind, cell.paper, "open" if cell.family in FAMILIES else "family not available")]


def _name_if_needed(group: Group, groups: Sequence[Group]) -> str:
    """What tells a group from another that nothing but its name makes another."""
    alike = [other for other in groups if other.epochs == group.epochs]
    preset = preset_name(group.dataset, group.architecture, group.family)
    return f"; name={group.name}" if len(alike) > 1 and group.name != preset else ""


def write_tables(runs: Sequence[Run], out: Path, *, page: bool = True) -> list[Path]:
    """Write ``table1`` and ``table2`` as CSV and Markdown, ``claims.md``, and ``tables.html`` with learning curves.

    Returns:
        The files.
    """
    tables = {table: paper_rows(table, runs) for table in TABLES}
    rows = [row for table in tables.values() for row in table]
    written = [out / "claims.md"]
    write_text(written[0], claims_table(rows))
    for name, table in tables.items():
        written += [write_paper_csv(table, out / f"{name}.csv"), write_paper_markdown(table, out / f"{name}.md")]
    if page:
        groups = group_runs(run for run in runs if run.kind in {row.kind for row in rows})
        claims = (COLUMNS, NUMERIC, claim_lines(rows))
        written.append(write_paper_page(tables, groups, claims, out / "tables.html"))
    return written


def is_reproduction(path: Path) -> bool:
    """Whether a folder has runs sorted by recipe, as ``conductance reproduce`` leaves them."""
    return any(any((path / recipe).glob("*/config.json")) for recipe in RECIPES)


def main() -> None:
    """Write the tables of the runs in the given folders."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path, help="run folders, or folders that hold them")
    parser.add_argument("--out", type=Path, required=True)
    choices = parser.parse_args()
    write_tables(load_runs(choices.runs), choices.out, page=False)


if __name__ == "__main__":
    main()
