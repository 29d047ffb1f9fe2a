"""Train what a table of the paper still needs, run after run.

Finished runs are not repeated, interrupted ones are resumed. Several processes may work on one folder: each run is
locked by the process that trains it.
"""

import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from rich.console import Console

from conductance.data import DATASETS, load_dataset
from conductance.presets.command import train_command
from conductance.reproduction.plan import Job, time_left
from conductance.runs import BusyRunError
from conductance.training import NonFiniteLossError, train
from conductance.training.silence import silent_layers


def train_all(jobs: Sequence[Job], *, data_dir: Path | None, device: str, console: Console) -> None:
    """Train all pending jobs, and report on the console.

    Raises:
        DataError: a data set is missing or damaged; raised before any run begins.
        KeyboardInterrupt: stopped; the finished epochs are kept.
    """
    for job in jobs:
        if job.config is None:
            console.print(f"{job.name}: family {job.cell.family} not available, left out", highlight=False)
    for message in warnings_before(jobs, data_dir):
        warnings.warn(message, stacklevel=2)

    def begin(place: int) -> None:
        where = f"run {place + 1} of {len(jobs)}, {jobs[place].state()}; {time_left(jobs)}"
        console.print(f"[bold]{jobs[place].name}[/] ({jobs[place].recipe}), {where}", highlight=False)

    def go(job: Job) -> None:
        assert job.config is not None
        command = train_command(job.config)
        try:
            train(
                job.config,
                job.folder.path,
                resume=True,
                data_dir=data_dir,
                device=device,
                console=console,
                command=command,
            )
        except NonFiniteLossError as error:  # the other runs may still succeed
            warnings.warn(str(error), stacklevel=2)

    for job in train_pending(jobs, go, begin):
        console.print(f"{job.name}: another process is working on it", highlight=False)


def warnings_before(jobs: Iterable[Job], data_dir: Path | None = None) -> list[str]:
    """Warnings about runs that have not begun: layers that receive only zeros, so that they cannot learn.

    Looks at each network that does not start balanced, on one batch.

    Raises:
        DataError: a data set is missing or damaged.
    """
    pending = [job for job in jobs if job.pending and job.config is not None]
    found = []
    for name in DATASETS:
        of_this_set = [job for job in pending if job.cell.dataset == name]
        dataset = load_dataset(name, data_dir) if of_this_set else None
        for job in of_this_set:
            assert job.config is not None
            assert dataset is not None
            # balanced conductances leave every layer open (tests/test_traps.py); looking at them would take long
            looked_at = not (job.epochs_done() or job.config.conductance.balance)
            dead = silent_layers(job.config, dataset) if looked_at else []
            if dead:
                found.append(
                    f"{job.config.name} seed {job.seed}: nothing reaches {', '.join(dead)} (every open probability "
                    f"before it is 0, with e_r = {job.config.conductance.resting_potential:g}), so this network cannot "
                    "learn and will stay at chance"
                )
    return found


def train_pending(jobs: Sequence[Job], go: Callable[[Job], object], begin: Callable[[int], None]) -> list[Job]:
    """Train the pending jobs one after the other.

    Args:
        jobs: from `plan_jobs`.
        go: trains one job, or resumes it.
        begin: called with the index of a job before it starts.

    Returns:
        The jobs that other processes are working on.
    """
    elsewhere = []
    for place, job in enumerate(jobs):
        if not job.pending:
            continue
        try:
            with job.folder.locked():
                if not job.folder.finished:  # another process may have finished it in the meantime
                    begin(place)
                    go(job)
        except BusyRunError:
            elsewhere.append(job)
    return elsewhere
