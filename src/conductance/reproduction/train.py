"""The paper's tables from nothing: what is missing is trained, run after run.

What is finished is not done again, what was cut off goes on, and several processes on one folder share the work: a
lock that dies with its holder keeps a run to one of them.
"""

import warnings
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

from conductance.data import DATASETS, load_dataset
from conductance.presets.command import train_command
from conductance.report.table import duration
from conductance.reproduction.plan import PlannedRun, seconds_left
from conductance.runs import BusyRunError, RunFolder
from conductance.training import NonFiniteLossError, train
from conductance.training.silence import silent_layers


def plan_table(runs: Sequence[PlannedRun]) -> Table:
    """All runs, how far each is and how long it will take, for `rich.print`."""
    table = Table(box=None, caption=time_left(runs), caption_justify="left")
    for heading in ("run", "paper %", "epochs", "state", "left"):
        table.add_column(heading, justify="left" if heading in ("run", "state") else "right", no_wrap=True)
    for run in runs:
        epochs = "" if run.config is None else str(run.config.epochs)
        left = duration(seconds_left(run, runs)) if run.pending else ""
        table.add_row(run.name, f"{run.cell.paper:.2f}", epochs, run.state(), left)
    return table


def time_left(runs: Iterable[PlannedRun]) -> str:
    """In words: how long the runs that are left will take, as far as their cells have any epoch to judge by."""
    runs = list(runs)
    pending = [run for run in runs if run.pending]
    if not pending:
        return "nothing is left to train"
    known = [left for run in pending if (left := seconds_left(run, runs)) is not None]
    unknown = len(pending) - len(known)
    may_stop_early = any(run.config is not None and run.config.protocol.name == "paper" for run in pending)
    about = "at most" if may_stop_early else "about"
    guess = f"{about} {duration(sum(known))} left" if known else "time left not known yet"
    return guess + (f", and {unknown} more runs of cells not timed yet" if known and unknown else "")


def train_all(runs: Sequence[PlannedRun], *, data_dir: Path | None, device: str, console: Console) -> None:
    """Train all that is left of ``runs``, and say on the console what is done.

    Raises:
        DataError: a data set is missing or damaged; before any run begins.
        KeyboardInterrupt: stopped; the epochs that were finished are kept.
    """
    for run in runs:
        if run.config is None:
            console.print(f"{run.name}: family {run.cell.family} not available, left out", highlight=False)
    for message in warnings_before(runs, data_dir):
        warnings.warn(message, stacklevel=2)

    def begin(place: int) -> None:
        where = f"run {place + 1} of {len(runs)}, {runs[place].state()}; {time_left(runs)}"
        console.print(f"[bold]{runs[place].name}[/] ({runs[place].recipe}), {where}", highlight=False)

    go_on = partial(train, resume=True, data_dir=data_dir, device=device, console=console)

    def go(run: PlannedRun) -> None:
        assert run.config is not None
        try:
            go_on(run.config, run.folder, command=train_command(run.config))
        except NonFiniteLossError as error:  # the others may still be well
            warnings.warn(str(error), stacklevel=2)

    for run in train_missing(runs, go, begin):
        console.print(f"{run.name}: another process is at it", highlight=False)


def warnings_before(runs: Iterable[PlannedRun], data_dir: Path | None = None) -> list[str]:
    """What is wrong with runs that are still to be started: layers that nothing reaches, and that cannot learn.

    Looks at each network that does not start balanced, on one batch; finds missing data sets before any run begins.

    Raises:
        DataError: a data set is missing or damaged.
    """
    pending = [run for run in runs if run.pending and run.config is not None]
    found = []
    for name in DATASETS:
        of_this_set = [run for run in pending if run.cell.dataset == name]
        dataset = load_dataset(name, data_dir) if of_this_set else None
        for run in of_this_set:
            assert run.config is not None
            assert dataset is not None
            # balanced conductances leave every layer open (tests/test_traps.py), and would take their time
            looked_at = not (run.epochs_done() or run.config.conductance.balance)
            dead = silent_layers(run.config, dataset) if looked_at else []
            if dead:
                found.append(
                    f"{run.config.name} seed {run.seed}: nothing reaches {', '.join(dead)} (every open probability "
                    f"before it is 0, with e_r = {run.config.conductance.resting_potential:g}), so this network cannot "
                    "learn and will stay at chance"
                )
    return found


def train_missing(
    runs: Sequence[PlannedRun], go: Callable[[PlannedRun], object], begin: Callable[[int], None]
) -> list[PlannedRun]:
    """Train what is left of ``runs``, one after the other.

    Args:
        runs: from `plan_runs`.
        go: trains one run, from where it is.
        begin: told the place of a run in ``runs`` before it starts.

    Returns:
        The runs that other processes are at.
    """
    elsewhere = []
    for place, run in enumerate(runs):
        if not run.pending:
            continue
        try:
            with RunFolder(run.folder).locked():
                if not run.finished:  # which it may be since we looked, by another process
                    begin(place)
                    go(run)
        except BusyRunError:
            elsewhere.append(run)
    return elsewhere
