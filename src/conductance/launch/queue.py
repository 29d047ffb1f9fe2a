"""Slurm's queue. ``squeue`` alone is asked: ``sacct`` knows nothing at a site without accounting."""

import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass

PATIENCE = 30
"""Seconds to wait for an answer."""


@dataclass(frozen=True)
class Queued:
    """A job in the queue.

    Attributes:
        state: Slurm's word for it, such as PENDING or RUNNING.
        reason: why it waits.
    """

    state: str
    reason: str

    @property
    def waiting(self) -> bool:
        """Whether it has not begun yet, or will begin again."""
        return self.state not in ("RUNNING", "COMPLETING", "STAGE_OUT", "STOPPED", "SUSPENDED")


def read_queue(users: Iterable[str]) -> dict[str, Queued] | None:
    """The jobs of these users that have not ended, by number (``12``, or ``12_3`` in an array).

    Returns:
        None where Slurm is not there or does not answer: then nothing is known about any job.
    """
    names = ",".join(sorted(set(users)))
    if not names or shutil.which("squeue") is None:
        return None
    command = ["squeue", "--array", "--noheader", f"--user={names}", "--format=%i|%T|%r"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    return parse_queue(answer)


def parse_queue(answer: str) -> dict[str, Queued]:
    """What ``squeue --format=%i|%T|%r`` prints.

    >>> parse_queue("12_3|PENDING|Priority")
    {'12_3': Queued(state='PENDING', reason='Priority')}
    """
    lines = [line.strip().split("|", 2) for line in answer.splitlines()]
    return {fields[0]: Queued(fields[1], fields[2]) for fields in lines if len(fields) == 3}
