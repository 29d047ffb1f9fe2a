"""Comparisons of networks that were judged on the same samples, seed by seed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import erfc, sqrt
from typing import Literal

import numpy as np

from studies.shared.packing import unpacked

Verdict = Literal["better", "worse", "undecided"]

DRAWS = 4000
LEVEL = 0.05


@dataclass(frozen=True)
class Difference:
    """By how much one network is right more often than another.

    Attributes:
        points: the mean over seeds and samples, in percentage points.
        low, high: the interval that holds the difference with a probability of 95 %, by bootstrap.
        p: of a difference as large by chance, two-sided.
        seeds: how many pairs there are.
    """

    points: float
    low: float
    high: float
    p: float
    seeds: int

    @property
    def text(self) -> str:
        """With its interval."""
        return f"{self.points:+.2f} [{self.low:+.2f}, {self.high:+.2f}]"


def difference(rows: Sequence[Mapping[str, str]], others: Sequence[Mapping[str, str]]) -> Difference | None:
    """How much better the runs in ``rows`` are than ``others``, paired by seed and test sample; None without a pair.

    The bootstrap draws seeds and samples anew, both at once: a difference stands if it would be seen again with other
    seeds and other samples.
    """
    by_seed = {row["seed"]: row for row in others}
    pairs = [(row, by_seed[row["seed"]]) for row in rows if row["seed"] in by_seed]
    if not pairs:
        return None
    gains = np.stack([_right(row) - _right(other) for row, other in pairs])
    drawn = 100 * ((gains @ _shares(gains.shape[1]).T).T * _shares(len(pairs))).sum(1)
    low, high = np.quantile(drawn, [LEVEL / 2, 1 - LEVEL / 2])
    points, error = 100 * gains.mean(), drawn.std()
    p = erfc(abs(points) / error / sqrt(2)) if error else 1.0
    return Difference(float(points), float(low), float(high), float(p), len(pairs))


@lru_cache(maxsize=4)
def _shares(number: int) -> np.ndarray:
    """How often each of so many things is drawn, as a share of all, (draws, number)."""
    return np.random.default_rng(number).multinomial(number, [1 / number] * number, DRAWS) / number


def _right(row: Mapping[str, str]) -> np.ndarray:
    return unpacked(row["right"]).astype(float)


def verdicts(differences: Sequence[Difference]) -> list[Verdict]:
    """Of a family of comparisons: those that stand when it is allowed for that there are several (Holm)."""
    order = sorted(range(len(differences)), key=lambda each: differences[each].p)
    found: list[Verdict] = ["undecided"] * len(differences)
    for rank, each in enumerate(order):
        one = differences[each]
        if one.p > LEVEL / (len(differences) - rank):
            break
        found[each] = "better" if one.points > 0 else "worse"
    return found
