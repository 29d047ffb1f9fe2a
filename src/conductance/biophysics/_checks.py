"""Refusals that name the quantity, the place in it, and the remedy."""

from collections.abc import Sequence

import torch
from torch import Tensor

from conductance.errors import InputError

PerUnit = Tensor | Sequence[float] | float  # one number for all, or one for each


def refuse_where(bad: Tensor, quantity: Tensor, name: str, remedy: str) -> None:
    """Raise `InputError` at the first element where `bad` (the shape of `quantity`) is true."""
    if bad.any():
        place = tuple(bad.nonzero()[0].tolist())
        index = str(list(place)) if place else ""
        raise InputError(f"{name}{index} is {quantity[place].item():g}; {remedy}")


def refuse_volts(potential: PerUnit, name: str) -> None:
    """Raise `InputError` where every potential is below 1 in size (and some not 0): volts, not mV."""
    potential = torch.as_tensor(potential)
    if potential.any() and (potential.abs() < 1).all():
        largest = potential.abs().max().item()
        raise InputError(
            f"{name} is nowhere larger than {largest:g} mV, which looks like volts; give millivolts (multiply by 1000)"
        )
