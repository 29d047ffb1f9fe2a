"""Several processes that share a search, on this machine or on a cluster."""

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from rich.console import Console

from conductance.errors import ConductanceError
from conductance.extras import import_extra
from conductance.launch.job import Job, epochs_in
from conductance.launch.options import LaunchOptions
from conductance.launch.places import LocalPlaces
from conductance.launch.slurm import slurm_executor, submit_array
from conductance.launch.tickets import JOBS
from conductance.tuning.study import ERROR, Search, ended, open_study
from conductance.tuning.trials import work

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

PAUSE = 1.0
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
        ConductanceError: Slurm refuses the jobs, or the processes have ended before enough trials were done.
    """
    import_extra("submitit", f"for --cluster {options.cluster}", "cluster")
    search = replace(search, out=search.out.absolute())
    number = min(options.jobs or 1, search.trials)
    if options.cluster == "slurm":
        executor = slurm_executor(search.out / JOBS, options)
        jobs = submit_array(executor, [TuningJob(search, options.cpus or 1) for _ in range(number)])
        console.print(
            f"submitted as job {jobs[0].job_id.partition('_')[0]}; look at the trials with: conductance status "
            f"{search.out}; the same command again writes the report",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
        return
    study = open_study(search)
    told = {trial.number for trial in ended(study)}
    places = LocalPlaces(search.out / JOBS, replace(options, jobs=number))
    working = [places.start(TuningJob, search) for _ in range(number)]
    logs = search.out / JOBS
    console.print(f"{number} processes; logs in {logs}", highlight=False, markup=False, soft_wrap=True)
    try:
        while True:
            over = all(started.handle.done() for started in working)
            for trial in ended(study):
                if trial.number not in told:
                    told.add(trial.number)
                    console.print(_end(trial), highlight=False, markup=False, soft_wrap=True)
            if over:
                break
            time.sleep(PAUSE)
    except BaseException:
        for started in working:
            places.stop(started)
        for started in working:
            started.handle.wait()
        raise
    if (done := len(ended(study))) < search.trials:
        raise ConductanceError(f"{done} of {search.trials} trials were done when the processes ended; see {logs}")


def _end(trial: "FrozenTrial") -> str:
    how = "pruned" if trial.value is None else f"validation accuracy {trial.value:.2f} %"
    return f"trial {trial.number}: {trial.user_attrs.get(ERROR, how)}"
