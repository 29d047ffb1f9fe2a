"""Training data as a weighted set of rows: neither their order nor whether a row is repeated or weighted matters."""

from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split
from sklearn.utils.validation import _check_sample_weight

from conductance.errors import InputError

Array = NDArray[Any]


@dataclass(frozen=True)
class Samples:
    """Rows, what they stand for, and how much each counts.

    Attributes:
        X: features, (N, features).
        y: classes by number, (N,), or values, (N, outputs).
        weights: (N,), positive, float64.
    """

    X: Array
    y: Array
    weights: Array

    def __len__(self) -> int:
        return len(self.X)

    def take(self, rows: Array) -> "Samples":
        """Some of them."""
        return Samples(self.X[rows], self.y[rows], self.weights[rows])

    def merged(self) -> "Samples":
        """Each row once, with the sum of its weights, in an order that does not depend on the order of the data."""
        _, first, place = np.unique(self._digests(), return_index=True, return_inverse=True)
        merged = self.take(first)
        return Samples(merged.X, merged.y, np.bincount(place, self.weights))

    def _digests(self) -> Array:
        """A number of 128 bits for each row; equal rows have equal numbers."""
        rows = np.column_stack([self.X, self.y]).astype(np.float64) + 0.0  # no -0.0
        digests = b"".join(blake2b(row.tobytes(), digest_size=16).digest() for row in rows)
        return np.frombuffer(digests, dtype=[("high", "u8"), ("low", "u8")])

    def split(self, share: float, seed: int, stratified: bool) -> tuple["Samples", "Samples"]:
        """Those to learn from, and a share that is held out.

        Raises:
            InputError: one of the two would be empty.
        """
        if not 0 < share < 1 or not 1 <= round(share * len(self)) < len(self):
            raise InputError(
                f"validation_fraction={share} of {len(self)} different rows: neither it nor the rest may be empty; "
                "give more rows or choose early_stopping=False"
            )
        counts = np.bincount(self.y) if stratified else np.zeros(0)
        held_out = max(round(share * len(self)), 1)
        fits = stratified and min(held_out, len(self) - held_out) >= np.count_nonzero(counts) and counts.min() > 1
        rows = np.arange(len(self))
        learned, judged = train_test_split(
            rows, test_size=held_out, random_state=seed, stratify=self.y if fits else None
        )
        return self.take(learned), self.take(judged)


def weights_of(sample_weight: Any, X: Array) -> Array:
    """One weight for each row, float64; 1 where none are given.

    Raises:
        ValueError: they are negative, not finite, not one for each row, or all zero.
    """
    weights = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
    if not weights.any():
        raise InputError("sample_weight is zero for every row; give at least one row a weight")
    return np.asarray(weights)


def require_finite(values: Array, name: str) -> Array:
    """The values.

    Raises:
        InputError: one is NaN or infinite.
    """
    finite = np.isfinite(values)
    if finite.all():
        return values
    row, *column = np.argwhere(~finite)[0]
    what = "NaN" if np.isnan(values[row][tuple(column)]) else "inf"
    where = f"row {row}" + (f", column {column[0]}" if column else "")
    remedy = "fill it, as sklearn.impute.SimpleImputer does, or leave the row out"
    raise InputError(f"{name} holds {what} in {where}; {remedy}")
