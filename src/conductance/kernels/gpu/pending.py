"""Linear and 1x1 layers on a GPU: sums that nobody has computed yet, so that their product can average them at once.

`kernels.open_conductances` returns `Pending` sums where a product averages, and whoever wants E' and I' themselves has
them computed after all (`kernels.dense`).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from conductance.eager import eager
from conductance.kernels.gpu.choice import on_gpu, rounds_float32


class Pending(NamedTuple):
    """E' of all units, then I', of one product that has not been computed."""

    p: Tensor  # (..., fan-in) or half of it where both kinds of synapses read all of it
    conductance: Tensor  # (units, fan-in), excitatory columns first
    leak: Tensor  # (2, units)
    excitatory: int
    dtype: torch.dtype | None  # half precision, or None
    shaped: Callable[[Tensor], Tensor]  # from (rows, units) to what the layer returns
    sums: Callable[[], Any]  # computes them


def average_pending(pending: Pending, rectify: bool, dtype: torch.dtype | None) -> Tensor:
    """Z or p, in the precision of the product or that of ``dtype``."""
    from conductance.kernels.gpu import operators  # what torch needs to register them takes a second to import

    p = pending.p if pending.dtype is None else pending.p.to(pending.dtype)
    z, _ = operators.averaged_product(p, pending.conductance, pending.leak, pending.excitatory, rectify)
    return pending.shaped(z if dtype is None else z.to(dtype))


def pending(
    p: Tensor,
    conductance: Tensor,
    leak: Tensor,
    excitatory: int,
    options: dict[str, Any],
    dtype: torch.dtype | None,
    sums: Callable[[], Any],
) -> Pending | None:
    """The sums to be computed by whoever needs them, where tensor cores can multiply and average at once; else None.

    Args:
        p: (..., fan-in), or (N, fan-in, H, W) in channels last.
        conductance: (units, fan-in), or (units, fan-in, 1, 1); excitatory columns first.
        leak: (2, units).
        excitatory: how many columns are excitatory.
        options: those of the convolution.
        dtype: half precision that factors are rounded to, or None.
        sums: computes them in another way.
    """
    if not (on_gpu(p) and _rounds(p, conductance, dtype) and _takes_operators()):
        return None
    units = len(conductance)
    if conductance.ndim == 2 and p.ndim > 1:
        rows = p.flatten(0, -2)
        return Pending(rows, conductance, leak, excitatory, dtype, lambda z: z.view(*p.shape[:-1], units), sums)
    if p.ndim == 4 and is_matrix(conductance, options) and p.is_contiguous(memory_format=torch.channels_last):
        down, right = options.get("stride", (1, 1))
        image = p[:, :, ::down, ::right].permute(0, 2, 3, 1)
        shaped = lambda z: z.view(*image.shape[:3], units).permute(0, 3, 1, 2)  # noqa: E731
        return Pending(image.flatten(0, 2), conductance.flatten(1), leak, excitatory, dtype, shaped, sums)
    return None


def is_matrix(conductance: Tensor, options: dict[str, Any]) -> bool:
    """Whether a convolution on a GPU is a product at each position: kernel 1x1, no padding, no groups."""
    if conductance.ndim != 4 or not on_gpu(conductance):
        return False
    plain = options.get("groups", 1) == 1 and options.get("padding", 0) in (0, (0, 0), "valid")
    return plain and conductance.shape[2:] == (1, 1)


def _rounds(p: Tensor, conductance: Tensor, dtype: torch.dtype | None) -> bool:
    """Whether tensor cores multiply. Where all of float32 is asked for, torch's own product is the better one."""
    if dtype is not None:
        return dtype == torch.bfloat16
    return p.dtype == conductance.dtype == torch.float32 and rounds_float32()


def _takes_operators() -> bool:
    """Whether whoever looks at the operations knows this package's: not where a graph is made for others."""
    return not torch.compiler.is_exporting() if torch.compiler.is_compiling() else eager()
