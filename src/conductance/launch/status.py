"""How far each run of a folder is, however it was launched.

The runs' own folders say it: their summaries, metrics, locks and notes of failures. Tickets and Slurm's queue are asked
only about runs that nobody is training at this moment.
"""

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

from conductance.errors import RunError
from conductance.launch.queue import Queued, read_queue
from conductance.launch.tickets import Ticket, Tickets
from conductance.runs import Run, load_runs
from conductance.runs.schema import read_failure

State = Literal["done", "running", "waiting", "failed", "stopped"]
STATES: tuple[State, ...] = ("done", "running", "waiting", "failed", "stopped")


@dataclass(frozen=True)
class RunStatus:
    """How far one run is.

    Attributes:
        folder: the run's.
        name: of the run.
        seed: of the run.
        state: "done"; "running": a process trains it; "waiting": for its turn, or for its job to begin; "failed": an
            error ended it, or its job ended without a word; "stopped": it is unfinished, and nobody works on it.
        epoch: how many epochs are finished.
        epochs: how many it will have (protocol paper: at most).
        test_accuracy: after the last finished epoch, in %; None before the first.
        seconds: how long its epochs took so far, on average; None before the first.
        seconds_left: how long it will still take, once it runs; None where no epoch of its kind has been timed.
        job: the number of its job; None where it was not launched on a cluster.
        reason: why it failed, or what it waits for.
        log: what it printed; None where it was not launched on a cluster.
    """

    folder: Path
    name: str
    seed: int
    state: State
    epoch: int
    epochs: int
    test_accuracy: float | None = None
    seconds: float | None = None
    seconds_left: float | None = None
    job: str | None = None
    reason: str | None = None
    log: Path | None = None

    @property
    def pending(self) -> bool:
        """Whether it will go on without anybody's help."""
        return self.state in ("running", "waiting")


@dataclass(frozen=True)
class Overview:
    """How far all runs of a folder are."""

    out: Path
    runs: tuple[RunStatus, ...]

    @property
    def counts(self) -> dict[State, int]:
        """The number of runs in each state."""
        found = Counter(run.state for run in self.runs)
        return {state: found[state] for state in STATES}

    @property
    def pending(self) -> bool:
        """Whether some run will go on without anybody's help."""
        return any(run.pending for run in self.runs)

    @property
    def seconds_left(self) -> float | None:
        """How long the running and waiting runs will take, at as many at a time as there are now.

        0 where there are none; None where no epoch of any of them has been timed.
        """
        left = [run.seconds_left for run in self.runs if run.pending]
        known = [seconds for seconds in left if seconds is not None]
        if not left:
            return 0.0
        if not known:
            return None
        total = sum(known) + (len(left) - len(known)) * fmean(known)
        return max(total / max(1, self.counts["running"]), *known)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        runs = [
            {**asdict(run), "folder": str(run.folder), "log": None if run.log is None else str(run.log)}
            for run in self.runs
        ]
        return {"out": str(self.out), "counts": self.counts, "seconds_left": self.seconds_left, "runs": runs}


def status(out: str | Path) -> Overview:
    """How far all runs in a folder are: those that were launched from it, and all others.

    Args:
        out: a folder of runs, or of one.

    Raises:
        RunError: there is no such folder, or no run in it.
    """
    out = Path(out)
    tickets = Tickets(out).read()
    launched = {(out / folder).resolve(): ticket for folder, ticket in tickets.items()}
    try:
        begun = {run.path for run in load_runs([out])}
    except RunError:
        if not launched:
            raise
        begun = set()
    folders = sorted(begun | set(launched))
    queue = read_queue(ticket.user for ticket in tickets.values() if ticket.cluster == "slurm")
    runs = [_status(Run(folder), launched.get(folder), queue, out) for folder in folders]
    return Overview(out, tuple(_timed(runs)))


def _status(run: Run, ticket: Ticket | None, queue: Mapping[str, Queued] | None, out: Path) -> RunStatus:
    """How far a run is. Who works on it is asked first: what its folder says afterwards is then its last word."""
    known = RunStatus(run.path, run.path.name, 0, "stopped", 0, 0)
    if ticket is not None:
        log = None if ticket.log is None else (out / ticket.log).absolute()
        known = replace(known, name=ticket.name, seed=ticket.seed, epochs=ticket.epochs, job=ticket.job, log=log)
    working: Answer | None = ("running", None) if run.folder.busy else _asked(ticket, queue)
    try:
        known = _with_epochs(known, run)
        if run.finished:
            return replace(known, state="done", test_accuracy=(run.summary or {})["test_accuracy"])
        failure = read_failure(run.folder.failure_file)
    except RunError as damage:
        return replace(known, state="failed", reason=str(damage))
    if working is not None:
        return replace(known, state=working[0], reason=working[1])
    if failure is None and ticket is not None and ticket.job is not None:
        failure = f"job {ticket.job} ended before the run did, without a word: killed, cancelled or out of memory"
    return known if failure is None else replace(known, state="failed", reason=failure)


Answer = tuple[State, str | None]


def _asked(ticket: Ticket | None, queue: Mapping[str, Queued] | None) -> Answer | None:
    """What the cluster says about a run; None where it does not know it."""
    if ticket is None:
        return None
    return _local(ticket) if ticket.cluster == "local" else _slurm(ticket, queue)


def _local(ticket: Ticket) -> Answer | None:
    """What the processes of this machine say; None where none of them works on the run."""
    if ticket.process is None or not ticket.process.alive:
        return None
    return ("waiting", "its turn") if ticket.job is None else ("running", "starting")


def _slurm(ticket: Ticket, queue: Mapping[str, Queued] | None) -> Answer | None:
    """What Slurm's queue says; None where it holds no such job."""
    if queue is None:
        return "waiting", "Slurm does not answer here"
    job = queue.get(ticket.job or "")
    if job is None:
        return None
    return ("waiting", job.reason) if job.waiting else ("running", "starting")


def _with_epochs(known: RunStatus, run: Run) -> RunStatus:
    if run.folder.started:
        known = replace(known, name=run.settings["name"], seed=run.seed, epochs=run.settings["epochs"])
    epochs = run.epochs
    if not epochs:
        return known
    timed = [epoch["seconds"] for epoch in epochs if "seconds" in epoch]
    return replace(
        known,
        epoch=len(epochs),
        test_accuracy=epochs[-1]["test_accuracy"],
        seconds=fmean(timed) if timed else None,
    )


def _timed(runs: Sequence[RunStatus]) -> Iterable[RunStatus]:
    """The same runs with the time that each will still take, from its own epochs or else from those of its name."""
    of_name: dict[str, list[float]] = {}
    for run in runs:
        if run.seconds is not None:
            of_name.setdefault(run.name, []).append(run.seconds)
    for run in runs:
        others = of_name.get(run.name)
        seconds = run.seconds if run.seconds is not None or others is None else fmean(others)
        yield replace(run, seconds_left=_seconds_left(run, seconds))


def _seconds_left(run: RunStatus, seconds: float | None) -> float | None:
    """How long a run will still take, where an epoch takes so long."""
    if run.state == "done":
        return 0.0
    if seconds is None:
        return None
    left = (run.epochs - run.epoch) * seconds
    return max(0.0, left - _seconds_since(run.folder / "metrics.jsonl", seconds)) if run.state == "running" else left


def _seconds_since(metrics: Path, most: float) -> float:
    """How long ago the last epoch ended, at most the length of an epoch."""
    try:
        return min(max(0.0, time.time() - metrics.stat().st_mtime), most)
    except OSError:
        return 0.0
