"""One run as a job: what a process of a cluster does."""

import os
import signal
import sys
from abc import ABC, abstractmethod
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from rich.console import Console

from conductance.errors import ConductanceError, RunError
from conductance.launch.plan import PlannedRun
from conductance.runs import BusyRunError, Run

WIDTH = 120
"""Columns of a log."""

FRUITLESS = 3
"""How often a job may be interrupted one time after the other without having finished an epoch."""


class Job(ABC):
    """Something that can be interrupted and goes on after its last epoch.

    submitit calls it in a process of the cluster, and asks it for a successor when its time is over.

    Args:
        threads: of torch; its own choice if not given.
        gpu: the one to use, as ``CUDA_VISIBLE_DEVICES`` names it; those of the process if not given.
    """

    def __init__(self, threads: int | None = None, gpu: str | None = None) -> None:
        self.threads, self.gpu = threads, gpu
        self._epochs_before = 0
        self._fruitless = 0

    @abstractmethod
    def go(self, console: Console) -> None:
        """Do it, or go on with it."""

    @abstractmethod
    def epochs(self) -> int:
        """How many epochs are finished."""

    @abstractmethod
    def note(self, error: BaseException) -> None:
        """Keep what ended it before its time."""

    def __call__(self) -> None:
        """Go, and note what ends it before its time.

        Raises:
            SystemExit: an error that a person can mend; the log has one line about it.
            Exception: any other.
        """
        if os.environ.get("SUBMITIT_EXECUTOR") == "local":  # on Slurm it comes before the signal to go on later
            signal.signal(signal.SIGTERM, _end)
        if self.threads is not None:
            torch.set_num_threads(self.threads)
        if self.gpu is not None:  # submitit's local jobs see no GPU unless they are told
            os.environ["CUDA_VISIBLE_DEVICES"] = self.gpu
        self._epochs_before = self.epochs()
        try:
            self.go(Console(width=WIDTH))
        except BusyRunError as busy:
            print(busy)
        except ConductanceError as error:
            self.note(error)
            print(f"error: {error}", file=sys.stderr)
            sys.exit(2)
        except Exception as error:
            self.note(error)
            raise

    def checkpoint(self) -> Any:
        """What to submit instead of this job, whose time is over or whose place others need.

        Returns:
            submitit's record of a job; None where it was interrupted too often without having finished an epoch.
        """
        from submitit.helpers import DelayedSubmission

        self._fruitless = self._fruitless + 1 if self.epochs() == self._epochs_before else 0
        if self._fruitless < FRUITLESS:
            return DelayedSubmission(self)
        remedy = "give its jobs more time (--slurm.time)"
        self.note(RunError(f"interrupted {FRUITLESS} times without having finished an epoch; {remedy}"))
        return None


def _end(number: int, _: FrameType | None) -> None:
    sys.exit(128 + number)


class TrainingJob(Job):
    """Trains a run, or goes on with it.

    Args:
        run: the run.
        threads: see `Job`.
        gpu: see `Job`.
    """

    def __init__(self, run: PlannedRun, threads: int | None = None, gpu: str | None = None) -> None:
        super().__init__(threads, gpu)
        self.run = run

    def go(self, console: Console) -> None:
        """Train."""
        console.print(f"{self.run.name}, {self.epochs()} of {self.run.config.epochs} epochs", highlight=False)
        self.run.train(console)

    def epochs(self) -> int:
        """The finished epochs of the run."""
        return epochs_in(self.run.path)

    def note(self, error: BaseException) -> None:
        """Keep it in the run's folder."""
        if not self.run.folder.finished:
            self.run.folder.write_failure(error)


def epochs_in(path: Path) -> int:
    """The finished epochs of the run in a folder; 0 where they cannot be read."""
    try:
        return len(Run(path).epochs)
    except RunError:
        return 0
