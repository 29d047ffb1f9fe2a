r"""Two families of networks compared on the same test images, with the uncertainty that images and seeds bring.

The difference of two mean accuracies varies with the test images that were drawn, and with the seeds. Images are the
same for both, so they are drawn again in pairs (bootstrap); the mean of a few seeds has an error of its own,

.. math:: s^2 = \frac{s_a^2}{k_a} + \frac{s_b^2}{k_b},

and stands in units of s as Student's t does, with Welch's degrees of freedom (drawing two or three seeds again would
make the interval far too narrow). Both are drawn together, `DRAWS` times.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf, sqrt
from statistics import fmean, variance

import numpy as np

from conductance.errors import InputError

CONFIDENCE = 0.95
DRAWS = 10_000

Correct = Sequence[np.ndarray]
"""For each seed, whether the answer for each image is right: (images,), bool."""


@dataclass(frozen=True)
class Comparison:
    """How far the mean accuracy of one family lies above another's, in points.

    Attributes:
        difference: of the means.
        low: lower end of the confidence interval.
        high: its upper end.
        p: how often chance alone would part two equal families as far, two-sided.
        seeds: how many of each.
    """

    difference: float
    low: float
    high: float
    p: float
    seeds: tuple[int, int]


@dataclass(frozen=True)
class SeedSpread:
    """How much the accuracies (%) of seeds differ, from many families at once.

    Attributes:
        deviation: the standard deviation within a family.
        freedom: its degrees of freedom.
    """

    deviation: float
    freedom: int


def seed_spread(families: Iterable[Correct]) -> SeedSpread | None:
    """The spread of seeds within families that differ in little, pooled as in Dunnett's test; None by one seed each.

    Two seeds of one change say little about how far seeds part; two seeds of each of twenty changes say enough.
    """
    accuracies = [100 * _stacked(family).mean(1) for family in families]
    freedom = sum(len(each) - 1 for each in accuracies)
    if not freedom:
        return None
    return SeedSpread(sqrt(sum(float(((each - each.mean()) ** 2).sum()) for each in accuracies) / freedom), freedom)


def compare(above: Correct, below: Correct, *, seed: int = 0, spread: SeedSpread | None = None) -> Comparison:
    """Compare two families on the same images; by one seed each, two networks (the interval is then of images alone).

    Of two single networks p is McNemar's, which is exact, unless the spread of seeds is given.

    Args:
        above: of the family that is claimed to be more accurate.
        below: of the other one.
        seed: of the draws.
        spread: of seeds within families like these, where it is known from more than these two.

    Raises:
        InputError: a family has no network, or the networks answered for different numbers of images.
    """
    a, b = _stacked(above), _stacked(below)
    if a.shape[1] != b.shape[1]:
        raise InputError(
            f"the networks answered for {a.shape[1]} and {b.shape[1]} images; compare them on the same ones"
        )
    per_image = 100 * (a.mean(0) - b.mean(0))
    difference = float(per_image.mean())
    random = np.random.default_rng(seed)
    error, freedom = (
        seeds_error((100 * a.mean(1)).tolist(), (100 * b.mean(1)).tolist())
        if spread is None
        else (spread.deviation * sqrt(1 / len(a) + 1 / len(b)), spread.freedom)
    )
    deviations = _of_images(per_image, random) + _of_seeds(error, freedom, random)
    low, high = np.quantile(difference + deviations, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    p = float(np.mean(np.abs(deviations) >= abs(difference)) * DRAWS + 1) / (DRAWS + 1)
    if len(a) == len(b) == 1 and spread is None:
        p = mcnemar(a[0], b[0])
    return Comparison(difference, float(low), float(high), min(p, 1.0), (len(a), len(b)))


def _stacked(correct: Correct) -> np.ndarray:
    if not correct or len({each.shape for each in correct}) > 1:
        raise InputError("give the answers of at least one network, all for the same images")
    return np.stack(correct).astype(float)


def _of_images(per_image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """How far the mean over images lies from its own, if as many images are drawn again, `DRAWS` times."""
    values, counts = np.unique(per_image, return_counts=True)  # few: each is a count of seeds
    drawn = random.multinomial(len(per_image), counts / len(per_image), DRAWS)
    deviations: np.ndarray = drawn @ values / len(per_image) - per_image.mean()
    return deviations


def _of_seeds(error: float | None, freedom: float, random: np.random.Generator) -> np.ndarray:
    """How far the difference of the seeds' means may lie from its own; 0 where their error is not known."""
    return np.zeros(DRAWS) if error is None else error * random.standard_t(freedom, DRAWS)


def seeds_error(above: Sequence[float], below: Sequence[float]) -> tuple[float | None, float]:
    """The standard error that seeds give the difference of two means, with Welch's degrees of freedom.

    None for the error where a family has one seed.
    """
    if min(len(above), len(below)) < 2:
        return None, inf
    parts = [variance(values) / len(values) for values in (above, below)]
    squares = sum(part**2 / (len(values) - 1) for part, values in zip(parts, (above, below), strict=True))
    return sqrt(sum(parts)), sum(parts) ** 2 / squares if squares else inf


def by_seeds(above: Sequence[float], below: Sequence[float]) -> Comparison | None:
    """The same where nobody kept the answers: by the accuracies (%) of the seeds alone (Welch); None by one seed.

    The images that were drawn are left out, so the interval is too narrow.
    """
    error, freedom = seeds_error(above, below)
    if error is None:
        return None
    from scipy.stats import t  # takes a second to import

    difference = fmean(above) - fmean(below)
    half = float(t.ppf((1 + CONFIDENCE) / 2, min(freedom, 1e9))) * error
    p = float(2 * t.sf(abs(difference) / error, min(freedom, 1e9))) if error else float(difference == 0)
    return Comparison(difference, difference - half, difference + half, p, (len(above), len(below)))


def mcnemar(first: np.ndarray, second: np.ndarray) -> float:
    """The exact two-sided p-value that two networks are equally accurate, by the images of which one alone is right.

    >>> mcnemar(np.array([True] * 6 + [False]), np.array([False] * 6 + [True]))
    0.125
    """
    first, second = first.astype(bool), second.astype(bool)
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    if only_first + only_second == 0:
        return 1.0
    from scipy.stats import binomtest  # takes a second to import

    return float(binomtest(only_first, only_first + only_second).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values of several claims, corrected so that all of them together are wrong by chance that seldom (Holm).

    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    corrected, worst = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        worst = max(worst, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = worst
    return corrected
