"""``conductance status``: how far the runs in a folder are."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro
from rich.live import Live

from conductance.cli.arguments import parse
from conductance.cli.console import console

if TYPE_CHECKING:
    from rich.table import Table

    from conductance.launch.status import Overview

PAUSE = 2.0
"""Seconds between two looks."""


@dataclass
class StatusArguments:
    """How far the runs in a folder are: done, running, waiting, failed or stopped, and the time left.

    Looks at the folders of the runs themselves, so that it knows runs of every kind: those of this terminal, of another
    one, or of a cluster.
    """

    out: tyro.conf.Positional[Path] = Path("runs")
    """folder of runs"""
    watch: bool = False
    """look again every two seconds until no run goes on; Ctrl-C ends it, and stops no run"""
    json: bool = False
    """print JSON, once"""


def run(arguments: list[str]) -> None:
    """Print the table."""
    chosen = parse(StatusArguments, "status", arguments)
    from conductance.launch.status import status

    found = status(chosen.out)
    if chosen.json:
        print(json.dumps(found.to_dict(), indent=2))
        return
    if not (chosen.watch and found.pending):
        console.print(status_table(found))
        return
    with Live(status_table(found), console=console, auto_refresh=False) as live:
        while found.pending:
            time.sleep(PAUSE)
            found = status(chosen.out)
            live.update(status_table(found), refresh=True)


def status_table(overview: "Overview") -> "Table":
    """A line for each run; below it the counts and the time left."""
    from rich.table import Table
    from rich.text import Text

    from conductance.report.table import duration

    table = Table(box=None, caption=Text(in_short(overview)), caption_justify="left")
    for heading in ("run", "state", "epochs", "test %", "left", ""):
        numeric = heading in ("epochs", "test %", "left")
        table.add_column(heading, justify="right" if numeric else "left", no_wrap=heading != "", overflow="fold")
    for run in overview.runs:
        tested = "" if run.test_accuracy is None else f"{run.test_accuracy:.2f}"
        left = "" if run.state == "done" or run.seconds_left is None else duration(run.seconds_left)
        log = f" ({run.log})" if run.state == "failed" and run.log else ""
        words = (f"{run.name} seed {run.seed}", run.state, f"{run.epoch}/{run.epochs}", tested, left)
        table.add_row(*map(Text, words), Text(f"{run.reason or ''}{log}"))
    return table


def in_short(overview: "Overview") -> str:
    """The number of runs in each state, and the time left, in a line."""
    from conductance.report.table import duration

    counts = ", ".join(f"{number} {state}" for state, number in overview.counts.items() if number)
    if not overview.pending:
        return counts
    left = overview.seconds_left
    return f"{counts}; " + ("time left not known yet" if left is None else f"about {duration(left)} left")
