"""What is known about runs that were launched: who works on which, and where the logs are.

The folder of the runs holds it in ``jobs/``: a file for each run, ``jobs/NAME-seedK.json``, beside the logs. A ticket
only says whom to ask; whether a run is finished or worked on, its own folder says.
"""

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from filelock import FileLock

from conductance.files import write_json
from conductance.launch.processes import Process
from conductance.reading import parse_json, read_text
from conductance.runs.kinds import COUNT, OBJECT, SEED, TEXT, complaint, or_none

JOBS = "jobs"


@dataclass(frozen=True)
class Ticket:
    """Who works on a run.

    Attributes:
        folder: the run's, relative to the folder of all runs.
        name: of the run.
        seed: of the run.
        epochs: how many it will have.
        cluster: "local" or "slurm".
        job: of the cluster; None while a local run waits for its turn.
        process: local: the job's process, or the one that will start it.
        user: who launched it.
        log: what the run prints, a file in ``jobs/``.
    """

    folder: str
    name: str
    seed: int
    epochs: int
    cluster: Literal["local", "slurm"]
    job: str | None = None
    process: Process | None = None
    user: str = field(default_factory=getpass.getuser)
    log: str | None = None


class Tickets:
    """The tickets of a folder of runs.

    Args:
        out: the folder of the runs.
    """

    def __init__(self, out: Path) -> None:
        self.out = Path(out)
        self.folder = self.out / JOBS

    @contextmanager
    def locked(self) -> Iterator[None]:
        """A context in which no other process launches runs of this folder."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / ".lock"):
            yield

    def write(self, ticket: Ticket) -> None:
        """Keep a ticket, instead of an earlier one of the same run."""
        write_json(self.folder / f"{ticket.folder}.json", asdict(ticket))

    def read(self) -> dict[str, Ticket]:
        """All tickets by the folder of the run. A file that is no ticket is left out."""
        found = {}
        for file in sorted(self.folder.rglob("*.json")):
            if (ticket := _read(file)) is not None:
                found[ticket.folder] = ticket
        return found


FIELDS = {
    **{"folder": TEXT, "name": TEXT, "seed": SEED, "epochs": COUNT, "cluster": TEXT, "user": TEXT},
    **{"job": or_none(TEXT), "process": or_none(OBJECT), "log": or_none(TEXT)},
}
PROCESS = {"host": TEXT, "number": COUNT, "born": TEXT}


def _read(file: Path) -> Ticket | None:
    """The ticket in a file; None if it holds none."""
    try:
        values = parse_json(read_text(file))
    except (OSError, ValueError):
        return None
    if complaint(values, FIELDS) or (values["process"] is not None and complaint(values["process"], PROCESS)):
        return None
    process = None if values["process"] is None else Process(**{name: values["process"][name] for name in PROCESS})
    return Ticket(**{**{name: values[name] for name in FIELDS}, "process": process})
