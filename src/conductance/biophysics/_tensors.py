"""Numbers, lists and tensors of one formula, converted to one dtype and device."""

import torch
from torch import Tensor

from conductance.biophysics._checks import PerUnit


def in_one_dtype(first: PerUnit, second: PerUnit, *others: PerUnit) -> list[Tensor]:
    """All of them as tensors of the wider dtype of the first two, on their device.

    Numbers and lists take the dtype of the tensors, or torch's default one.
    """
    tensors = [quantity for quantity in (first, second) if isinstance(quantity, Tensor)]
    dtype = torch.get_default_dtype()
    if tensors:
        widest = torch.promote_types(tensors[0].dtype, tensors[-1].dtype)
        if widest.is_floating_point:  # counts and booleans would truncate the potentials
            dtype = widest
    device = tensors[-1].device if tensors else None
    return [torch.as_tensor(quantity, dtype=dtype, device=device) for quantity in (first, second, *others)]
