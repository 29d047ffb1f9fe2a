"""Features of any range as open probabilities."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

SPAN = 3.0
"""How many standard deviations from its mean a feature is fully open."""

ALWAYS_OPEN = 4
"""Channels that no feature closes. Beside them an average says how large the features are, not only how they relate."""


class Scale:
    """Weighted mean and standard deviation of columns, of all rows seen so far.

    Attributes:
        mean: (columns,), float64.
        total: of the weights.
    """

    def __init__(self, columns: int) -> None:
        self.mean = np.zeros(columns)
        self.total = 0.0
        self._squares = np.zeros(columns)

    def update(self, values: Array, weights: Array) -> None:
        """See more rows, (N, columns), each as often as its weight says."""
        values = values.astype(np.float64, copy=False)
        total = weights.sum()
        mean = weights @ values / total
        squares = weights @ (values - mean) ** 2
        share = total / (self.total + total)
        apart = mean - self.mean
        self._squares += squares + apart**2 * self.total * share
        self.mean = self.mean + share * apart
        self.total += total

    @property
    def deviation(self) -> Array:
        """(columns,); 1 where a column is constant."""
        deviation = np.sqrt(self._squares / self.total)
        constant = deviation <= 10 * np.finfo(np.float64).eps * np.abs(self.mean)
        return np.where(constant, 1.0, deviation)

    def standardized(self, values: Array) -> Array:
        """Of mean 0 and standard deviation 1, float64."""
        return (values - self.mean) / self.deviation

    def restored(self, standardized: Array) -> Array:
        """The inverse of `standardized`."""
        return standardized * self.deviation + self.mean


def channels(features: int) -> int:
    """How many channels stand for so many features."""
    return 2 * features + ALWAYS_OPEN


def open_probabilities(standardized: Array) -> Array:
    """Each feature as two channels, open as it lies above or below its mean; then those that are always open.

    Args:
        standardized: (N, features).

    Returns:
        (N, 2 features + 4), in [0, 1].
    """
    above = standardized / SPAN
    parts = [above, -above, np.ones((len(above), ALWAYS_OPEN))]
    return np.clip(np.concatenate(parts, axis=1), 0.0, 1.0)


def by_feature(synapses: Array) -> Array:
    """What belongs to features, (..., channels) to (..., side, features): the sides are above and below the mean."""
    of_features = synapses[..., :-ALWAYS_OPEN]
    return of_features.reshape(*of_features.shape[:-1], 2, -1)
