"""The paper's tables as one self-contained page, with the learning curves of the runs behind them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from conductance.extras import import_extra
from conductance.files import write_text
from conductance.report.colors import family_colors
from conductance.report.page import environment
from conductance.report.table import Column
from conductance.reproduction.rows import PaperRow
from conductance.runs.groups import Group

TITLES = {"table1": "Table 1: CWA and affine networks", "table2": "Table 2: variants of CWA"}

Claims = tuple[Sequence[str], Sequence[bool], Sequence[Sequence[str]]]
"""Headings, which columns are numbers, and the lines of a table."""


def write_page(
    tables: Mapping[str, Sequence[PaperRow]],
    columns: Sequence[Column[PaperRow]],
    groups: Sequence[Group],
    claims: Claims,
    path: Path,
) -> Path:
    """Write the page: each table beside the paper's figures, the claims, curves and provenance of ``groups``."""
    for package in ("jinja2", "matplotlib"):
        import_extra(package, "to draw a report", "report")
    from conductance.report.curves import curve_panels

    rows = [row for rows in tables.values() for row in rows]
    colors = family_colors(row.family for row in rows)
    page = (
        environment("conductance.reproduction")
        .get_template("paper.html")
        .render(
            tables={TITLES.get(table, table): rows for table, rows in tables.items()},
            columns=columns,
            claims=claims,
            colors=colors,
            panels=curve_panels(groups, colors),
            provenance=[group for group in groups if group.finished],
            measured=sum(row.seeds > 0 for row in rows),
            cells=len({(row.table, row.kind) for row in rows}),
            unfinished=[(group, run) for group in groups for run in group.unfinished],
        )
    )
    write_text(path, page)
    return path
