"""``conductance report``: compare runs in a table here and on a page with figures."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from rich.markup import escape

from conductance.cli.arguments import parse
from conductance.cli.console import console
from conductance.errors import InputError

if TYPE_CHECKING:
    from conductance.runs import Run

FORMATS = (".html", ".csv", ".md")


@dataclass
class ReportArguments:
    """Compare finished runs: print a table, and write a page with learning curves and a look inside the networks."""

    runs: Annotated[
        tyro.conf.Positional[tuple[Path, ...]], tyro.conf.arg(metavar="FOLDER ...", help_behavior_hint="(required)")
    ]
    """folders of runs, or folders that contain them"""
    out: Path = Path("report.html")
    """file to write: .html for the page, .csv or .md for the table alone. A folder that `conductance reproduce` has
    filled gets the paper's tables too"""


def run(arguments: list[str]) -> None:
    """Compare the runs in the folders that the words name."""
    chosen = parse(ReportArguments, "report", arguments)
    compare(chosen.runs, chosen.out)


def compare(folders: Sequence[Path], out: Path) -> None:
    """Print the table of all runs in ``folders``, and write it or the page to ``out``."""
    if out.suffix not in FORMATS:
        raise InputError(f"out={out}: a report is written as .html, .csv or .md")
    from conductance.report import summarize, terminal_table, write_csv, write_markdown, write_report
    from conductance.runs import load_runs

    runs = load_runs(folders)
    rows = summarize(runs)
    console.print(terminal_table(rows))
    if out.suffix == ".csv":
        write_csv(rows, out)
    elif out.suffix == ".md":
        write_markdown(rows, out)
    else:
        out = write_report(runs, out)
    console.print(f"report: {escape(str(out))}", soft_wrap=True)
    write_paper_tables(folders, runs)


def write_paper_tables(folders: Sequence[Path], runs: "Sequence[Run]") -> None:
    """Write the paper's tables into every folder that ``conductance reproduce`` has filled with some of these runs."""
    from conductance.reproduction import is_reproduction, write_tables
    from conductance.runs import load_runs

    for folder in folders:
        if is_reproduction(folder):
            inside = {run.path for run in load_runs([folder])}
            written = write_tables([run for run in runs if run.path in inside], folder)
            console.print(f"beside the paper: {escape(', '.join(map(str, written)))}", soft_wrap=True)
