"""Many runs from the command line: launched, followed, and what failed listed."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from conductance.cli.interruption import resumable

if TYPE_CHECKING:
    from conductance.launch.options import LaunchOptions
    from conductance.launch.plan import PlannedRun
    from conductance.launch.status import RunStatus

FAILED = 1
"""Exit status where a run has failed."""


def launch_all(
    runs: "Sequence[PlannedRun]", out: Path, options: "LaunchOptions", console: Console, again: Sequence[str]
) -> "list[RunStatus]":
    """Launch what is missing, and print how to look at it and what has failed.

    Args:
        runs: the runs.
        out: the folder that holds their folders.
        options: where, and how many at a time.
        console: where to print.
        again: the words of the command that goes on.
    """
    from conductance.launch.launch import launch

    with resumable(console, again, out):
        states = launch(runs, out, options, console)
    if any(run.pending for run in states):
        console.print(f"look at them with: conductance status {out}", markup=False, highlight=False, soft_wrap=True)
    return states


def end_with(states: "Sequence[RunStatus]", console: Console) -> None:
    """List the runs that have failed, and end the program with a status that says so."""
    failed = [run for run in states if run.state == "failed"]
    for run in failed:
        log = "" if run.log is None else f"; log: {run.log}"
        words = f"failed: {run.name} seed {run.seed}: {run.reason}{log}"
        console.print(words, markup=False, highlight=False, soft_wrap=True)
    if failed:
        sys.exit(FAILED)
