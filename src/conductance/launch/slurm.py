"""Runs as jobs of a Slurm cluster, through submitit."""

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from conductance.errors import ConductanceError, one_line
from conductance.launch.job import Job, TrainingJob
from conductance.launch.options import LaunchOptions, minutes
from conductance.launch.plan import PlannedRun
from conductance.launch.tickets import JOBS, Ticket, Tickets

ARRAY = 1000
"""Jobs in an array, where Slurm does not say how many it takes."""

NOTICE = 90
"""Seconds before the end of its time at which a job is told, or a quarter of its time."""

ALWAYS = 1_000_000
"""How often a job may be queued again: as often as needed, since a job without progress ends itself."""


def submit(runs: Sequence[PlannedRun], tickets: Sequence[Ticket], kept: Tickets, options: LaunchOptions) -> list[str]:
    """Hand runs to Slurm, as job arrays.

    Args:
        runs: the runs.
        tickets: of these runs, without a job.
        kept: where tickets are kept.
        options: what the jobs ask for, and how many may run at a time.

    Returns:
        The numbers of the arrays.

    Raises:
        ConductanceError: there is no Slurm here, or it refuses the jobs.
    """
    executor, size, numbers = slurm_executor(kept.folder, options), _array_size(), []
    for first in range(0, len(runs), size):
        part = slice(first, first + size)
        jobs = submit_array(executor, [TrainingJob(run, options.cpus or 1) for run in runs[part]])
        for job, ticket in zip(jobs, tickets[part], strict=True):
            kept.write(replace(ticket, job=job.job_id, log=f"{JOBS}/{job.paths.stdout.name}"))
        numbers.append(jobs[0].job_id.partition("_")[0])
    return numbers


def check_slurm() -> None:
    """Check that jobs can be submitted from this machine.

    Raises:
        ConductanceError: there is no Slurm here.
    """
    if shutil.which("sbatch") is None or shutil.which("srun") is None:
        raise ConductanceError("there is no Slurm here (no sbatch and srun on the PATH); choose --cluster local")


def slurm_executor(folder: Path, options: LaunchOptions) -> Any:
    """submitit's door to Slurm.

    Args:
        folder: where logs go, on all nodes.
        options: what the jobs ask for.

    Raises:
        ConductanceError: there is no Slurm here.
    """
    check_slurm()
    from submitit import SlurmExecutor

    executor = SlurmExecutor(folder, max_num_timeout=ALWAYS)
    executor.update_parameters(**_parameters(options))
    return executor


def submit_array(executor: Any, jobs: Sequence[Job]) -> list[Any]:
    """Submit jobs as an array; gives submitit's handles.

    Raises:
        ConductanceError: Slurm refuses them.
    """
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    try:
        return executor.submit_array(jobs)
    except (FailedJobError, FailedSubmissionError) as error:
        raise ConductanceError(f"Slurm refuses the jobs: {one_line(error)}; change --slurm.*") from error


def _parameters(options: LaunchOptions) -> dict[str, Any]:
    """The options as submitit calls them; what is None is left to the site."""
    slurm, time = options.slurm, minutes(options.slurm.time)
    further = dict(option.partition("=")[::2] for option in slurm.sbatch)
    given = {
        "job_name": "conductance",
        "partition": slurm.partition,
        "account": slurm.account,
        "time": time,
        "mem": slurm.memory,
        "cpus_per_task": options.cpus or 1,
        "gpus_per_node": slurm.gpus or None,
        "array_parallelism": options.jobs,
        "signal_delay_s": min(NOTICE, 15 * time),
        "setup": list(slurm.setup) or None,
        "stderr_to_stdout": True,
        "additional_parameters": {"requeue": True, **{name: value or True for name, value in further.items()}},
    }
    # submitit's own wckey means nothing to anybody, and some sites refuse it
    return {name: value for name, value in given.items() if value is not None} | {"wckey": None}


def _array_size() -> int:
    """How many jobs an array may have here."""
    try:
        command = ["scontrol", "show", "config"]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
        return int(next(line.split("=")[1] for line in answer.splitlines() if line.startswith("MaxArraySize"))) - 1
    except (OSError, subprocess.SubprocessError, ValueError, StopIteration):
        return ARRAY
