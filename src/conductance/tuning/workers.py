"""Several processes that share a search, on this machine or on a cluster."""

import time
from dataclasses import replace

from rich.console import Console

from conductance.extras import import_extra
from conductance.launch.job import Job, epochs_in
from conductance.launch.options import LaunchOptions
from conductance.launch.places import LocalPlaces
from conductance.launch.slurm import slurm_executor, submit_array
from conductance.launch.tickets import JOBS
from conductance.tuning.study import Search
from conductance.tuning.trials import work

PAUSE = 0.5
"""Seconds between two looks at the processes."""


class TuningJob(Job):
    """Trains trials until the study has enough; submitit calls it."""

    def __init__(self, search: Search, threads: int | None = None, gpu: str | None = None) -> None:
        super().__init__(threads, gpu)
        self.search = search

    def go(self, console: Console) -> None:
        """Train trials."""
        work(self.search, console)

    def epochs(self) -> int:
        """The finished epochs of all trials."""
        return sum(epochs_in(file.parent) for file in self.search.out.glob("*/metrics.jsonl"))

    def note(self, error: BaseException) -> None:
        """The log has it."""


def start_workers(search: Search, options: LaunchOptions, console: Console) -> None:
    """Start ``--jobs`` processes that share the search; on this machine, wait until they have ended.

    Raises:
        ConductanceError: Slurm refuses the jobs.
    """
    import_extra("submitit", f"for --cluster {options.cluster}", "cluster")
    search = replace(search, out=search.out.absolute())
    number = min(options.jobs or 1, search.trials)
    if options.cluster == "slurm":
        executor = slurm_executor(search.out / JOBS, options)
        jobs = submit_array(executor, [TuningJob(search, options.cpus or 1) for _ in range(number)])
        console.print(f"submitted as job {jobs[0].job_id.partition('_')[0]}", highlight=False)
        return
    places = LocalPlaces(search.out / JOBS, replace(options, jobs=number))
    working = [places.start(TuningJob, search) for _ in range(number)]
    console.print(f"{number} processes; logs in {search.out / JOBS}", highlight=False, markup=False, soft_wrap=True)
    try:
        while not all(started.handle.done() for started in working):
            time.sleep(PAUSE)
    except BaseException:
        for started in working:
            places.stop(started)
        for started in working:
            started.handle.wait()
        raise
