"""The report: one self-contained HTML page."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from conductance.extras import import_extra
from conductance.files import write_text
from conductance.report.colors import family_colors
from conductance.report.rows import row_of
from conductance.report.table import COLUMNS
from conductance.runs.find import load_runs
from conductance.runs.groups import Group, group_runs
from conductance.runs.run import Run

if TYPE_CHECKING:
    from jinja2 import Environment


def write_report(runs: Iterable[Run | str | Path], destination: str | Path) -> Path:
    """Write the report on some runs.

    Args:
        runs: from `load_runs`; or folders, as `load_runs` takes them.
        destination: the page itself where it ends in ``.html``, else the folder that receives ``report.html``.

    Returns:
        The page.
    """
    for package in ("jinja2", "matplotlib"):
        import_extra(package, "to draw a report", "report")
    page = render_page(group_runs(_loaded(runs)))
    destination = Path(destination)
    target = destination if destination.suffix == ".html" else destination / "report.html"
    write_text(target, page)
    return target


def _loaded(runs: Iterable[Run | str | Path]) -> list[Run]:
    given = list(runs)
    folders = [run for run in given if not isinstance(run, Run)]
    loaded = [run for run in given if isinstance(run, Run)]
    return loaded + load_runs(folders) if folders or not loaded else loaded


def render_page(groups: list[Group]) -> str:
    """The page as text; the same runs always give the same page."""
    from conductance.report.curves import curve_panels
    from conductance.report.portraits import portraits

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
            provenance=[group for group in groups if group.finished],
            finished=sum(len(group.finished) for group in groups),
            unfinished=[(group, run) for group in groups for run in group.unfinished],
        )
    )


def environment(*packages: str) -> "Environment":
    """The templates of pages, from this package and from ``packages``; an undefined name is an error."""
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=ChoiceLoader([PackageLoader(package, "template") for package in ("conductance.report", *packages)]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
