"""How long a computation takes: by events on a GPU, by the clock elsewhere."""

import time
from collections.abc import Callable

import torch

RUNS = 5  # that a GPU is given at once, so that it does not wait for the next to be launched


def seconds_of(run: Callable[[], object], device: torch.device, runs: int = RUNS) -> float:
    """The seconds that ``run()`` takes; on a GPU the mean of so many runs in a row."""
    if device.type != "cuda":
        started = time.perf_counter()
        run()
        return time.perf_counter() - started
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize(device)
    begin.record()
    for _ in range(runs):
        run()
    end.record()
    end.synchronize()
    return 1e-3 * begin.elapsed_time(end) / runs
