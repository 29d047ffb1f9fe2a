"""Starts a program in several processes, as ``torchrun`` does."""

import os
import socket
import subprocess
import sys
from contextlib import contextmanager

PATIENCE = 120
"""Seconds after which processes that wait for each other are given up."""


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextmanager
def started(words, count, **environment):
    """The processes of ``python WORDS``; they are killed at the end, if they still run."""
    shared = {"WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count)}
    shared |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    shared |= {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    processes = [
        subprocess.Popen(
            [sys.executable, *map(str, words)],
            env={**os.environ, **shared, **environment, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(count)
    ]
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.wait()


def ends(processes):
    """Each one's exit status, what it printed, and its errors."""
    said = [process.communicate(timeout=PATIENCE) for process in processes]
    return [(process.returncode, *words) for process, words in zip(processes, said, strict=True)]


def run(words, count, **environment):
    """Run the processes to their end; all must succeed."""
    with started(words, count, **environment) as processes:
        for status, printed, errors in ends(processes):
            assert status == 0, printed + errors
