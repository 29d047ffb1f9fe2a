"""Checks of quantities; their errors name the quantity, the element and the remedy."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from conductance.errors import InputError

PerUnit = Tensor | Sequence[float] | float  # one number for all, or one for each
Units = int | Sequence[int] | np.ndarray | Tensor  # numbers of units


def whole_numbers(units: Units, name: str) -> list[int]:
    """Numbers of units, however they are given: by Python, numpy or torch, one or several.

    Raises:
        InputError: they are not whole numbers, or not in one row.
    """
    values = units.cpu().numpy() if isinstance(units, Tensor) else np.asarray(units)
    values = values.astype(np.int64) if values.size == 0 else values
    if values.dtype.kind not in "iu" or values.ndim > 1:
        raise InputError(f"{name}: give whole numbers, one or several in a row, instead of {units!r}")
    return np.atleast_1d(values).tolist()


def refuse_where(bad: Tensor, quantity: Tensor, name: str, remedy: str) -> None:
    """Raise `InputError` at the first element where `bad` (the shape of `quantity`) is true."""
    if bad.any():
        place = tuple(bad.nonzero()[0].tolist())
        index = str(list(place)) if place else ""
        raise InputError(f"{name}{index} is {quantity[place].item():g}; {remedy}")


def refuse_unless_together(**quantities: Tensor) -> None:
    """Raise `InputError` where quantities of one formula have shapes that do not broadcast with one another."""
    try:
        torch.broadcast_shapes(*(quantity.shape for quantity in quantities.values()))
    except RuntimeError:
        shapes = ", ".join(f"{name} {tuple(quantity.shape)}" for name, quantity in quantities.items())
        raise InputError(f"these shapes do not fit together: {shapes}; give numbers, or one value for each") from None


def refuse_bad_probability(probability: Tensor, name: str = "open_probability") -> None:
    """Raise `InputError` at the first outside [0, 1], or NaN."""
    bad = ~((probability >= 0) & (probability <= 1))  # written so that NaN fails too
    refuse_where(bad, probability, name, "a probability lies in [0, 1]")


def refuse_bad_conductance(conductance: Tensor, name: str) -> None:
    """Raise `InputError` at the first that is negative, infinite or NaN."""
    bad = ~((conductance >= 0) & conductance.isfinite())
    refuse_where(bad, conductance, name, "a conductance is finite and at least 0 nS: clamp or correct it")


def refuse_unless_positive(quantity: Tensor, name: str, remedy: str) -> None:
    """Raise `InputError` at the first that is not above 0, or not finite."""
    refuse_where(~((quantity > 0) & quantity.isfinite()), quantity, name, remedy)


def refuse_volts(potential: PerUnit, name: str) -> None:
    """Raise `InputError` where every potential is below 1 in size (and some not 0): volts, not mV."""
    potential = torch.as_tensor(potential)
    if potential.any() and (potential.abs() < 1).all():
        largest = potential.abs().max().item()
        raise InputError(
            f"{name} is nowhere larger than {largest:g} mV, which looks like volts; give millivolts (multiply by 1000)"
        )
