"""Places for jobs on this machine, each with threads and a GPU of its own."""

import os
import signal
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch

from conductance.launch.job import Job
from conductance.launch.options import LaunchOptions

MINUTES = 60 * 24 * 365
"""Time limit of a job: none, but submitit wants one."""


class Started(NamedTuple):
    """A job that was started: submitit's handle, and the GPU that it has."""

    handle: Any
    gpu: str | None


class LocalPlaces:
    """Starts jobs on this machine while there are free places.

    Args:
        folder: where the logs go.
        options: how many places, and with how many threads.
    """

    def __init__(self, folder: Path, options: LaunchOptions) -> None:
        from submitit import LocalExecutor

        gpus: list[str | None] = [*visible_gpus()]
        number = options.jobs or len(gpus) or max(1, _cores() // 2)
        self.threads = options.cpus or max(1, _cores() // number)
        self._free = deque((gpus or [None])[place % max(1, len(gpus))] for place in range(number))
        self._executor = LocalExecutor(folder, max_num_timeout=0)
        self._executor.update_parameters(timeout_min=MINUTES, stderr_to_stdout=True)

    @property
    def free(self) -> bool:
        """Whether there is a free place."""
        return bool(self._free)

    def start(self, kind: Callable[[Any, int, str | None], Job], what: Any) -> Started:
        """Start a job of this kind for a run or a search, in a free place."""
        gpu = self._free.popleft()
        with _computing_with(self.threads):
            return Started(self._executor.submit(kind(what, self.threads, gpu)), gpu)

    def stop(self, started: Started) -> None:
        """Ask a job to end; it keeps its finished epochs."""
        if not started.handle.done():
            os.kill(int(started.handle.job_id), signal.SIGTERM)  # submitit's SIGINT is ignored in the background

    def leave(self, started: Started) -> None:
        """Let others have the place."""
        self._free.append(started.gpu)


def visible_gpus() -> list[str]:
    """The GPUs that this process may use, as ``CUDA_VISIBLE_DEVICES`` names them."""
    if not torch.cuda.is_available():
        return []
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    return named.split(",") if named else [str(number) for number in range(torch.cuda.device_count())]


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _computing_with(threads: int) -> Iterator[None]:
    """Let processes started in the block compute with so many threads, unless the user has said how many."""
    if "OMP_NUM_THREADS" in os.environ:
        yield
        return
    os.environ["OMP_NUM_THREADS"] = str(threads)
    try:
        yield
    finally:
        del os.environ["OMP_NUM_THREADS"]
