"""Contenders take turns, so that whatever disturbs the machine disturbs all of them."""

import statistics
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch

from conductance.allocator import keep_freed_memory
from conductance.bench.clock import seconds_of
from conductance.bench.memory import peak_bytes
from conductance.bench.products import floating_point_operations, matrix_product

BASELINE = "affine+BN+ReLU"
TUNED = "affine+BN+ReLU, tuned"
_PRODUCT = "matrix product"


@dataclass(frozen=True)
class Timing:
    """What one contender took, and how that compares.

    Attributes:
        case: the shape or network.
        contender: what was timed.
        milliseconds: median over the rounds.
        ratio: median over the rounds of the time divided by the baseline's in the same round.
        low, high: the quartiles of that ratio.
        product_rate: the baseline's floating-point operations, divided by the time this contender took for the same
            work, as a fraction of what a product of two large matrices reaches in the same round; median.
        megabytes: the most memory held at once beyond what was there before, see `peak_bytes`.
        memory_ratio: that, divided by the baseline's.
    """

    case: str
    contender: str
    milliseconds: float
    ratio: float
    low: float
    high: float
    product_rate: float
    megabytes: float
    memory_ratio: float


def take_turns(
    case: str,
    contenders: Mapping[str, Callable[[], object]],
    rounds: int,
    device: torch.device,
    *,
    keep_memory: bool = True,
) -> Iterator[Timing]:
    """Time every contender once in each round, after one round that is not counted; then look at its memory.

    Args:
        case: what to call this in the results.
        contenders: what to run; one of them named `BASELINE`.
        rounds: at least 2.
        device: waited for before the clock is read.
        keep_memory: have the process keep freed memory, as training does.
    """
    if keep_memory:
        keep_freed_memory()
    product = matrix_product(device)
    turns = {**contenders, _PRODUCT: product}
    seconds: dict[str, list[float]] = {name: [] for name in turns}
    for _ in range(rounds + 1):
        for name, run in turns.items():
            seconds[name].append(seconds_of(run, device))
    share = floating_point_operations(contenders[BASELINE]) / floating_point_operations(product)
    memory = {name: peak_bytes(run, device) for name, run in contenders.items()}
    for name in contenders:
        ratios = _per_round(seconds, name, BASELINE)
        low, middle, high = statistics.quantiles(ratios, n=4)
        rate = statistics.median(share * ratio for ratio in _per_round(seconds, _PRODUCT, name))
        milliseconds = 1e3 * statistics.median(seconds[name][1:])
        megabytes, compared = memory[name] / 1e6, memory[name] / memory[BASELINE] if memory[BASELINE] else 1.0
        yield Timing(case, name, milliseconds, middle, low, high, rate, megabytes, compared)


def _per_round(seconds: Mapping[str, list[float]], one: str, other: str) -> list[float]:
    """How long one took in terms of the other, round by round."""
    return [mine / theirs for mine, theirs in zip(seconds[one][1:], seconds[other][1:], strict=True)]
