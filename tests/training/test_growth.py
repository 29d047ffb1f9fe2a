"""Many runs in one process: memory, files and threads stay as many as after the first ones."""

import gc
import os
import sys
import threading
from pathlib import Path

import pytest
import torch

from tiny_runs import run, tiny

RUNS, SETTLED = 100, 30
MOST_GROWTH = 20e6  # bytes in 70 runs


def resident():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def open_files():
    return len(os.listdir("/proc/self/fd"))


def tensors():
    """How many are alive, garbage apart."""
    gc.collect()
    return sum(issubclass(type(each), torch.Tensor) for each in gc.get_objects())


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_hundred_runs_in_one_process_do_not_grow(tmp_path):
    for number in range(RUNS):
        run(tiny(("cwa", "affine_bn")[number % 2], epochs=1), tmp_path / str(number))
        if number == SETTLED:
            before = resident(), open_files(), threading.active_count(), tensors()
    after = resident(), open_files(), threading.active_count(), tensors()
    assert after[0] - before[0] < MOST_GROWTH
    assert after[1:] == before[1:]


@pytest.mark.parametrize("family", ["cwa", "affine_bn"])
def test_a_run_leaves_no_tensor(family, tmp_path):
    run(tiny(family, epochs=1), tmp_path / "first")  # what a process makes once
    before = tensors()
    run(tiny(family, epochs=1), tmp_path / "second")
    assert tensors() <= before  # what other tests have left may end in between


@pytest.mark.parametrize("clock", [lambda now: 1e9 - now, lambda now: 0.0 * now])
def test_a_clock_that_goes_back_or_stands_changes_nothing(clock, tmp_path, monkeypatch):
    import time

    real = time.time
    monkeypatch.setattr(time, "time", lambda: clock(real()))
    summary = run(tiny(epochs=2), tmp_path / "run")
    assert summary["epochs"] == 2
    assert summary["seconds"] >= 0
