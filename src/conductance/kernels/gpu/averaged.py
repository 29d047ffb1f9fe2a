"""Linear and 1x1 layers on a GPU: sums that nobody has computed yet, and the product that averages them at once.

`kernels.open_conductances` returns `Pending` sums where the product can average, and whoever wants E' and I' themselves
has them computed after all (`kernels.dense`). Two operators of torch hold the kernels, so that ``torch.compile`` passes
them on as they are; second derivatives go through the plain formula.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from conductance.eager import eager
from conductance.kernels.gpu.choice import on_gpu, rounds_float32
from conductance.kernels.linear import conductance_gradient, input_gradient
from conductance.kernels.linear import formula as paired_formula


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
    p = pending.p if pending.dtype is None else pending.p.to(pending.dtype)
    z, _ = averaged_product(p, pending.conductance, pending.leak, pending.excitatory, rectify)
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


@torch.library.custom_op("conductance::averaged_product", mutates_args=())
def averaged_product(
    p: Tensor, conductance: Tensor, leak: Tensor, excitatory: int, rectify: bool
) -> tuple[Tensor, Tensor]:
    """(z or p, D) of (rows, fan-in) and (units, fan-in), both of the type of p; D is for backward alone."""
    from conductance.kernels.gpu import product

    return product.averaged_product(
        p, conductance, _means(conductance, excitatory), leak, excitatory, rectify, rounds_float32()
    )


def _means(conductance: Tensor, excitatory: int) -> Tensor:
    """(2, units), 0 where a unit has no synapses of a kind."""
    kinds = conductance.float().split([excitatory, conductance.shape[1] - excitatory], 1)
    return torch.stack([kind.sum(1) / max(1, kind.shape[1]) for kind in kinds])


@averaged_product.register_fake
def _(p: Tensor, conductance: Tensor, leak: Tensor, excitatory: int, rectify: bool) -> tuple[Tensor, Tensor]:
    del leak, excitatory, rectify
    shape = (p.shape[0], conductance.shape[0])
    return p.new_empty(shape), p.new_empty(shape)


@torch.library.custom_op("conductance::average_gradient", mutates_args=())
def average_gradient(grad: Tensor, z: Tensor, total: Tensor, rectify: bool) -> Tensor:
    """With respect to E', then I', side by side: (rows, 2 units)."""
    from conductance.kernels.gpu import average

    return average.gradient(grad, z, total, -1, rectify, z.dtype)


@average_gradient.register_fake
def _(grad: Tensor, z: Tensor, total: Tensor, rectify: bool) -> Tensor:
    del grad, total, rectify
    return z.new_empty(z.shape[0], 2 * z.shape[1])


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    p, conductance, leak, ctx.excitatory, ctx.rectify = inputs
    ctx.mark_non_differentiable(output[1])
    ctx.save_for_backward(p, conductance, leak, *output)


def _backward(ctx: Any, grad: Tensor, _: Tensor | None) -> tuple[Tensor | None, ...]:
    p, conductance, leak, z, total = ctx.saved_tensors
    if torch.is_grad_enabled():  # to be differentiated again: autograd has to see each operation
        return *_visible_gradients(ctx, grad, p, conductance, leak), None, None
    needs_p, needs_conductance, needs_leak, *_ = ctx.needs_input_grad
    with torch.autocast(grad.device.type, enabled=False):
        both = average_gradient(grad, z, total, ctx.rectify)
        to_E, to_I = both.chunk(2, 1)
        rounded = conductance.to(p.dtype)
        return (
            input_gradient(to_E, to_I, p, rounded, ctx.excitatory) if needs_p else None,
            conductance_gradient(to_E, to_I, p, rounded, ctx.excitatory).to(conductance.dtype)
            if needs_conductance
            else None,
            both.sum(0, dtype=torch.float32).view(2, -1).to(leak.dtype) if needs_leak else None,
            None,
            None,
        )


def _visible_gradients(
    ctx: Any, grad: Tensor, p: Tensor, conductance: Tensor, leak: Tensor
) -> tuple[Tensor | None, ...]:
    with torch.enable_grad(), torch.autocast(grad.device.type, enabled=False):
        wide = torch.promote_types(p.dtype, torch.float32)
        E, I = paired_formula(p.to(wide), conductance.to(wide), leak.to(wide), ctx.excitatory).chunk(2, 1)
        z = (E - I) / (E + I)
        z = (z.relu() if ctx.rectify else z).to(p.dtype)
        inputs, needs = (p, conductance, leak), ctx.needs_input_grad[:3]
        wanted = [each for each, need in zip(inputs, needs, strict=True) if need]
        found = iter(torch.autograd.grad(z, wanted, grad, create_graph=True))
    return tuple(next(found) if need else None for need in needs)


averaged_product.register_autograd(_backward, setup_context=_keep)
