"""The product that averages, as operators of torch, so that ``torch.compile`` passes the kernels on as they are.

Second derivatives go through the plain formula.
"""

from typing import Any

import torch
from torch import Tensor

from conductance.eager import is_seen_through
from conductance.kernels.gpu.choice import rounds_float32
from conductance.kernels.linear import conductance_gradient, input_gradient
from conductance.kernels.linear import formula as paired_formula
from conductance.kernels.splitting import common_to_rows


@torch.library.custom_op("conductance::averaged_product", mutates_args=())
def averaged_product(
    p: Tensor, conductance: Tensor, leak: Tensor, excitatory: int, rectify: bool
) -> tuple[Tensor, Tensor]:
    """(z or p, D) of (rows, fan-in) and (units, fan-in), both of the type of p; D is for backward alone."""
    from conductance.kernels.gpu import product

    return product.averaged_product(
        p, conductance, _common(conductance, excitatory), leak, excitatory, rectify, rounds_float32()
    )


def _common(conductance: Tensor, excitatory: int) -> Tensor:
    """What is common to each unit's excitatory and to its inhibitory conductances, (2, units)."""
    kinds = conductance.float().split([excitatory, conductance.shape[1] - excitatory], 1)
    return torch.stack([common_to_rows(kind) for kind in kinds])


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
    if is_seen_through(grad):
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
