"""Contenders take turns, so that whatever disturbs the machine disturbs all of them."""

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch

from conductance.allocator import keep_freed_memory

BASELINE = "affine+BN+ReLU"


@dataclass(frozen=True)
class Timing:
    """What one contender took, and how that compares.

    Attributes:
        case: the shape or network.
        contender: what was timed.
        milliseconds: median over the rounds.
        ratio: median over the rounds of the time divided by the baseline's in the same round.
        low, high: the quartiles of that ratio.
    """

    case: str
    contender: str
    milliseconds: float
    ratio: float
    low: float
    high: float


def take_turns(
    case: str, contenders: Mapping[str, Callable[[], object]], rounds: int, device: torch.device
) -> Iterator[Timing]:
    """Time every contender once in each round, after one round that is not counted.

    Args:
        case: what to call this in the results.
        contenders: what to run; one of them named `BASELINE`.
        rounds: at least 2.
        device: waited for before the clock is read.
    """
    keep_freed_memory()  # as training does
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds + 1):
        for name, run in contenders.items():
            _wait_for(device)
            started = time.perf_counter()
            run()
            _wait_for(device)
            seconds[name].append(time.perf_counter() - started)
    baseline = seconds[BASELINE][1:]
    for name, times in seconds.items():
        ratios = [mine / theirs for mine, theirs in zip(times[1:], baseline, strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        yield Timing(case, name, 1e3 * statistics.median(times[1:]), middle, low, high)


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
