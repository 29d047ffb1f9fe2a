"""Whether what a person gave is a number, and in range: what is no number at all is out of range too."""

import math
from numbers import Real

from torch import Tensor


def is_positive(value: object) -> bool:
    """Whether it is a finite number above 0."""
    return 0 < _number(value) < math.inf


def is_not_negative(value: object) -> bool:
    """Whether it is a finite number, 0 or more."""
    return 0 <= _number(value) < math.inf


def _number(value: object) -> float:
    """The number; NaN, which lies in no range, where it is none."""
    is_number = isinstance(value, Real) or (isinstance(value, Tensor) and value.ndim == 0)
    return float(value) if is_number else math.nan  # type: ignore[arg-type]
