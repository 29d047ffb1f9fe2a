"""How long a computation takes: by events on a GPU, elsewhere by the clock, or by one thread's own time."""

import time
from collections.abc import Callable

import torch

RUNS = 5  # that a GPU is given at once, so that it does not wait for the next to be launched


def seconds_of(run: Callable[[], object], device: torch.device, runs: int = RUNS) -> float:
    """The seconds that ``run()`` takes; on a GPU the mean of so many runs in a row.

    With one thread on a CPU it is the time that this thread computed, so that others on the machine disturb little.
    """
    if device.type != "cuda":
        clock = time.thread_time if torch.get_num_threads() == 1 else time.perf_counter
        started = clock()
        run()
        return clock() - started
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize(device)
    begin.record()
    for _ in range(runs):
        run()
    end.record()
    end.synchronize()
    return 1e-3 * begin.elapsed_time(end) / runs
