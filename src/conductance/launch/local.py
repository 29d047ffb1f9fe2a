"""Runs in processes on this machine, so many at a time, through submitit."""

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from conductance.launch.job import TrainingJob
from conductance.launch.options import LaunchOptions
from conductance.launch.places import LocalPlaces, Started
from conductance.launch.plan import PlannedRun
from conductance.launch.processes import Process
from conductance.launch.tickets import JOBS, Ticket, Tickets


class Working(NamedTuple):
    """A job that runs, and its ticket."""

    started: Started
    ticket: Ticket


class LocalJobs:
    """Starts runs on this machine as places become free.

    Args:
        tickets: of the folder of all runs.
        options: how many at a time, and with how many threads.
    """

    def __init__(self, tickets: Tickets, options: LaunchOptions) -> None:
        self._tickets = tickets
        self._places = LocalPlaces(tickets.folder, options)
        self._waiting: deque[tuple[PlannedRun, Ticket]] = deque()
        self._working: list[Working] = []

    def add(self, runs: Sequence[PlannedRun], tickets: Sequence[Ticket]) -> None:
        """Let runs wait for their turn."""
        for run, ticket in zip(runs, tickets, strict=True):
            self._tickets.write(replace(ticket, process=Process.of()))
            self._waiting.append((run, ticket))

    def step(self) -> bool:
        """Start what there is a free place for.

        Returns:
            Whether something runs or waits still.
        """
        for working in [working for working in self._working if working.started.handle.done()]:
            self._working.remove(working)
            self._places.leave(working.started)
        while self._places.free and self._waiting:
            self._start(*self._waiting.popleft())
        return bool(self._working or self._waiting)

    def stop(self) -> None:
        """End all jobs. Their finished epochs are kept."""
        for working in self._working:
            self._places.stop(working.started)
        for working in self._working:
            working.started.handle.wait()
            self._tickets.write(replace(working.ticket, job=None, process=None))

    def _start(self, run: PlannedRun, ticket: Ticket) -> None:
        started = self._places.start(TrainingJob, run)
        number, log = started.handle.job_id, f"{JOBS}/{started.handle.paths.stdout.name}"
        ticket = replace(ticket, job=number, process=Process.of(int(number)), log=log)
        self._tickets.write(ticket)
        self._working.append(Working(started, ticket))
