"""What recurrent modules are given: tensors of floating-point numbers, in the precision of their conductances."""

from typing import Any

import torch
from torch import Tensor

from conductance.checked import shown
from conductance.errors import InputError


def require_floats(what: str, values: Any, like: Tensor) -> None:
    """Insist on a tensor of floating-point numbers, double precision only where the conductances have it.

    Raises:
        InputError: it is something else.
    """
    if not isinstance(values, Tensor) or not values.is_floating_point():
        given = values.dtype if isinstance(values, Tensor) else shown(values)
        raise InputError(f"{what} is {given}; give a tensor of floating point numbers")
    if (values.dtype == torch.float64) != (like.dtype == torch.float64):
        raise InputError(
            f"{what} is {values.dtype}, but the conductances are {like.dtype}; convert one of them: "
            f"values.to({like.dtype}), or module.to({values.dtype})"
        )
