"""The ranges that quantities must keep: open probabilities, potentials, conductances."""

from typing import NamedTuple

import torch
from torch import Tensor

# Above a bound that is not 0, what rounding to half precision explains is no mistake.
ROUNDING = 1e-3


class Extent(NamedTuple):
    """The smallest and the largest value of a tensor; both NaN if any value is, both 0 if there are none."""

    low: float
    high: float

    @property
    def is_nan(self) -> bool:
        """Whether there is a NaN."""
        return self.low != self.low

    def within(self, low: float, high: float) -> bool:
        """Whether all values lie in [low, high], and are finite."""
        finite = self.low != float("-inf") and self.high != float("inf")
        return finite and self.low >= low - ROUNDING * abs(low) and self.high <= high + ROUNDING * abs(high)

    def __str__(self) -> str:
        if self.is_nan:
            return "NaN"
        return f"{self.low:.4g}" if self.low == self.high else f"values from {self.low:.4g} to {self.high:.4g}"


def extent(values: Tensor) -> Extent:
    """The extent of a tensor, in one pass over it and one synchronization of its device."""
    if not values.numel():
        return Extent(0.0, 0.0)
    if not values.is_floating_point():
        values = values.double()
    low, high = torch.stack(torch.aminmax(values.detach())).tolist()
    return Extent(low, high)


def refusal_of_input(seen: Extent, largest: float = 1.0) -> str | None:
    """What is wrong with open probabilities, and the remedy; None if nothing is.

    Args:
        seen: their extent.
        largest: the largest one that is accepted. Above 1 a value is no probability, but the average stays in range.
    """
    if seen.within(0.0, largest):
        return None
    if seen.is_nan:
        remedy = "look for the NaN in the data or in the module before"
    elif seen.low < 0:
        remedy = "rectify what comes before (torch.nn.ReLU, or a layer's activation='relu'), or scale data to [0, 1]"
    else:
        remedy = "scale data (images / 255), or join residual branches by their mean"
    return f"was given {seen}, but open probabilities lie in [0, 1]; {remedy}"
