"""The report: one self-contained HTML page."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from conductance.extras import import_extra
from conductance.files import write_text
from conductance.report.colors import family_colors
from conductance.report.rows import row_of
from conductance.report.table import COLUMNS
from conductance.runs.groups import Group, group_runs
from conductance.runs.origin import provenance_of
from conductance.runs.read import load_runs

if TYPE_CHECKING:
    from jinja2 import Environment


def write_report(paths: Iterable[str | Path], destination: str | Path) -> Path:
    """Write the report on the runs under `paths` and return where it lies.

    `destination` is the page itself where it ends in .html, else the folder that receives `report.html`.
    """
    for package in ("jinja2", "matplotlib"):
        import_extra(package, "to draw a report", "report")
    page = render_page(group_runs(load_runs(paths)))
    destination = Path(destination)
    target = destination if destination.suffix == ".html" else destination / "report.html"
    write_text(target, page)
    return target


def render_page(groups: list[Group]) -> str:
    """The page as text; the same runs always give the same page."""
    from conductance.report.curves import curve_panels
    from conductance.report.internals import portraits

    rows = [row_of(group) for group in groups]
    colors = family_colors(group.family for group in groups)
    return (
        environment()
        .get_template("report.html")
        .render(
            rows=rows,
            columns=COLUMNS,
            colors=colors,
            panels=curve_panels(groups, colors),
            portraits=portraits(groups),
            provenance=[provenance_of(group) for group in groups if group.finished],
            finished=sum(len(group.finished) for group in groups),
            unfinished=[(group, run) for group in groups for run in group.unfinished],
        )
    )


def environment(*packages: str) -> "Environment":
    """Where the templates of pages are: here and in ``packages``; a name that a template misses is an error."""
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=ChoiceLoader([PackageLoader(package, "template") for package in ("conductance.report", *packages)]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
