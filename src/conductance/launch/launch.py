"""Launches what is missing of many runs, and follows them to their ends."""

import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from conductance.data import load_dataset
from conductance.errors import ConductanceError
from conductance.extras import import_extra
from conductance.launch.local import LocalJobs
from conductance.launch.options import LaunchOptions
from conductance.launch.plan import PlannedRun
from conductance.launch.slurm import check_slurm, submit
from conductance.launch.status import Overview, RunStatus, status
from conductance.launch.tickets import Ticket, Tickets
from conductance.runs import BusyRunError

LOCAL_PAUSE, SLURM_PAUSE = 0.5, 5.0
"""Seconds between two looks at the runs."""


def launch(runs: Sequence[PlannedRun], out: Path, options: LaunchOptions, console: Console) -> list[RunStatus]:
    """Launch the runs that are missing, and follow them unless Slurm is to work on its own.

    A run is missing unless it is finished, is being trained by anybody, or waits in a queue. What fails stops no other
    run, and is launched again by the next call.

    Args:
        runs: the runs, somewhere in `out`.
        out: the folder of all runs, which keeps tickets and logs in ``jobs/``.
        options: where, and how many at a time.
        console: where to tell what happens.

    Returns:
        How far these runs are in the end.

    Raises:
        ConductanceError: a data set or the package submitit is missing, or Slurm refuses the jobs. Nothing runs then.
    """
    out = Path(out).absolute()
    if options.cluster is not None:
        import_extra("submitit", f"for --cluster {options.cluster}", "cluster")
    if options.cluster == "slurm":
        check_slurm()
    for name, data_dir, size in {(r.config.data.dataset, r.data_dir, r.config.data.image_size) for r in runs}:
        load_dataset(name, data_dir, image_size=size)  # found or downloaded here: cluster nodes may not reach a network
    if options.cluster is None:
        return _one_after_the_other(runs, out, console)
    tickets = Tickets(out)
    with tickets.locked():
        missing = _missing(runs, out, console)
        new = [_ticket(run, out, options) for run in missing]
        if options.cluster == "slurm":
            if missing:
                numbers = submit(missing, new, tickets, options)
                console.print(f"submitted as job {' and '.join(numbers)}", highlight=False)
        else:
            local = LocalJobs(tickets, options)
            local.add(missing, new)
    if options.cluster == "local":
        try:
            _follow(runs, out, console, local.step, LOCAL_PAUSE)
        except BaseException:
            local.stop()
            raise
    elif options.wait:
        with suppress(KeyboardInterrupt):  # the jobs go on
            _follow(runs, out, console, lambda: _overview(runs, out).pending, SLURM_PAUSE)
    return list(_overview(runs, out).runs)


def _missing(runs: Sequence[PlannedRun], out: Path, console: Console) -> list[PlannedRun]:
    """The runs that are to be launched; the others are counted on the console."""
    known = {run.folder: run.state for run in _overview(runs, out).runs}
    states = [known.get(run.path.resolve(), "running" if run.folder.busy else "stopped") for run in runs]
    left = ("done", "running", "waiting")
    missing = [run for run, state in zip(runs, states, strict=True) if state not in left]
    told = [f"{states.count(state)} {state}" for state in left if state in states] + [f"{len(missing)} to launch"]
    console.print(f"{len(runs)} runs in {out}: {', '.join(told)}", highlight=False, markup=False, soft_wrap=True)
    return missing


def _overview(runs: Sequence[PlannedRun], out: Path) -> Overview:
    """How far these runs are; those that nobody has launched yet are left out."""
    try:
        found = status(out)
    except ConductanceError:  # there is nothing yet
        return Overview(out, ())
    wanted = {run.path.resolve() for run in runs}
    return replace(found, runs=tuple(run for run in found.runs if run.folder in wanted))


def _ticket(run: PlannedRun, out: Path, options: LaunchOptions) -> Ticket:
    assert options.cluster is not None
    folder = run.path.absolute().relative_to(out).as_posix()
    return Ticket(folder, run.config.name, run.config.seed, run.config.epochs, options.cluster)


def _follow(runs: Sequence[PlannedRun], out: Path, console: Console, step: Callable[[], bool], pause: float) -> None:
    """Tell of each run that ends, until none goes on."""
    told = {run.folder for run in _overview(runs, out).runs if not run.pending}
    while True:
        goes_on = step()
        found = _overview(runs, out).runs
        for run in found:
            if not run.pending and run.folder not in told:
                told.add(run.folder)
                console.print(_end(run, len(told), len(runs)), highlight=False, markup=False, soft_wrap=True)
        if not goes_on:
            return
        time.sleep(pause)


def _end(run: RunStatus, number: int, of: int) -> str:
    how = f"test accuracy {run.test_accuracy:.2f} %" if run.state == "done" else f"{run.state}: {run.reason}"
    return f"{number} of {of}: {run.name} seed {run.seed}, {how}"


def _one_after_the_other(runs: Sequence[PlannedRun], out: Path, console: Console) -> list[RunStatus]:
    """Train in this process."""
    for number, run in enumerate(runs, 1):
        if run.folder.finished:
            continue
        console.print(f"[bold]{run.name}[/], run {number} of {len(runs)}", highlight=False)
        try:
            run.train(console)
        except BusyRunError as busy:
            console.print(str(busy), highlight=False, markup=False, soft_wrap=True)
        except ConductanceError as error:  # the other runs may still succeed
            warnings.warn(str(error), stacklevel=2)
    return list(_overview(runs, out).runs)
