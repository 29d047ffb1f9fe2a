"""What many runs are launched with. The text under each field is the help of the command line."""

import re
from dataclasses import dataclass, field
from typing import Literal

from conductance.bounds import require_within
from conductance.errors import InputError

MOST_JOBS, MOST_CPUS, MOST_GPUS, MOST_MINUTES = 10_000, 10_000, 1_000, 10_000_000

TIME = re.compile(r"(?:(?P<days>\d+)-)?(?P<first>\d+)(?::(?P<second>\d+))?(?::(?P<third>\d+))?")
"""Slurm's times: minutes, minutes:seconds, hours:minutes:seconds, days-hours, days-hours:minutes, ..."""

MOST = 10_000  # jobs, threads or GPUs


@dataclass(frozen=True)
class SlurmOptions:
    """What each run asks Slurm for, as `man sbatch` explains it."""

    partition: str | None = None
    """partition (queue); the site's own if not given"""
    time: str = "4:00:00"
    """time limit of a job: minutes, H:M:S or D-H:M:S. A run that takes longer is stopped, queued again, and goes on
    after its last epoch: an epoch must fit, the whole run need not"""
    memory: str | None = None
    """memory of a run, such as 8G; the site's own if not given"""
    gpus: int = 0
    """GPUs of a run"""
    account: str | None = None
    """account to charge"""
    sbatch: tuple[str, ...] = ()
    """further options of sbatch, without their dashes: qos=long constraint=a100 nice"""
    setup: tuple[str, ...] = ()
    """shell commands before each run, such as "module load cuda\""""

    def __post_init__(self) -> None:
        if minutes(self.time) < 1:
            raise InputError(f"slurm.time={self.time!r}: must be at least one minute")
        require_within("slurm.time in minutes", minutes(self.time), MOST_MINUTES)
        if self.gpus < 0:
            raise InputError(f"slurm.gpus={self.gpus}: must be at least 0")
        require_within("slurm.gpus", self.gpus, MOST_GPUS)
        require_within("slurm.gpus", self.gpus, MOST)
        for option in self.sbatch:
            if not re.fullmatch(r"[\w-]+(=.*)?", option) or option.startswith("-"):
                raise InputError(f"slurm.sbatch: {option!r} is no option of sbatch; write it as qos=long")


@dataclass(frozen=True)
class LaunchOptions:
    """Where runs are trained, and how many at a time."""

    cluster: Literal["local", "slurm"] | None = None
    """local: in processes on this machine; slurm: as jobs of a Slurm cluster. If not given, one run after the other in
    this process. Runs that are finished, or are being trained, are not launched again"""
    jobs: int | None = None
    """runs at a time; if not given, local: one for each GPU, or else for each two cores; slurm: what Slurm gives"""
    cpus: int | None = None
    """threads of each run; if not given, local: the cores divided by --jobs; slurm: 1"""
    wait: bool = False
    """slurm: stay until all runs have ended, and list those that failed (local always does)"""
    slurm: SlurmOptions = field(default_factory=SlurmOptions)

    def __post_init__(self) -> None:
        for name, value, most in (("jobs", self.jobs, MOST_JOBS), ("cpus", self.cpus, MOST_CPUS)):
            if value is not None and value < 1:
                raise InputError(f"{name}={value}: must be at least 1")
            require_within(name, value or 0, most)
            require_within(name, value or 0, MOST)


def minutes(time: str) -> int:
    """One of Slurm's times in whole minutes, rounded up.

    >>> minutes("90"), minutes("4:00:00"), minutes("1-12"), minutes("0:30")
    (90, 240, 2160, 1)

    Raises:
        InputError: the text is no time.
    """
    match = TIME.fullmatch(time.strip())
    if match is None:
        raise InputError(f"slurm.time={time!r} is no time; write minutes, H:M:S or D-H:M:S, such as 4:00:00")
    first, second, third = (int(match[name] or 0) for name in ("first", "second", "third"))
    if match["days"] is not None:
        seconds = 86_400 * int(match["days"]) + 3600 * first + 60 * second + third
    elif match["third"] is not None:
        seconds = 3600 * first + 60 * second + third
    else:
        seconds = 60 * first + second
    return -(-seconds // 60)
