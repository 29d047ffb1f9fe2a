"""The gradient of convolutions that average in one pass: back through the average, then through the products.

Autograd is shown E' and I' between the two, as one tensor of their shape without memory of its own. So what backward
through the average needs is given back before the products are taken.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional as F

from conductance.eager import is_seen_through
from conductance.kernels import averaging, native, windows

OPTIONS = ("stride", "padding", "dilation")

_Inputs = tuple[Tensor, Tensor, Tensor, Tensor]
"""p, the conductances of its first channels, which excite, and of its last ones, which inhibit, and the leak."""


def sums_without_memory(inputs: _Inputs, shape: Sequence[int], options: dict[str, Any]) -> Tensor:
    """E' and I' of all units as autograd is to see them: no numbers, but a gradient that goes on to the inputs.

    Args:
        inputs: p, conductances of both kinds, and the leak.
        shape: of z.
        options: of the convolution.
    """
    both: Tensor = _Sums.apply(*inputs, shape, options)
    return both


def average_with_gradient(
    both: Tensor, shortcut: Tensor | None, rectify: bool, forward: Callable[[], tuple[Tensor, Tensor]]
) -> Tensor:
    """What ``forward`` gives, as autograd is to see it.

    Args:
        both: from `sums_without_memory`.
        shortcut: of a residual block, or None.
        rectify: whether p is computed.
        forward: computes z, or p, and D.
    """
    result: Tensor = _Average.apply(both, shortcut, rectify, forward)[0]
    return result


class _Sums(Function):
    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> Tensor:
        *inputs, shape, ctx.options = arguments
        ctx.save_for_backward(*inputs)
        images, units, rows, columns = shape
        placeholder: Tensor = inputs[0].new_zeros(()).expand(images, 2 * units, rows, columns)
        return placeholder

    @staticmethod
    def backward(ctx: Any, to_both: Tensor) -> tuple[Tensor | None, ...]:
        inputs, wanted = ctx.saved_tensors, ctx.needs_input_grad[:4]
        p, excitatory, inhibitory, leak = inputs
        if torch.is_grad_enabled():  # to be differentiated again: autograd has to see each operation
            asked = [each for each, is_wanted in zip(inputs, wanted, strict=True) if is_wanted]
            both = _formula(p, excitatory, inhibitory, leak, ctx.options)
            found = iter(torch.autograd.grad(both, asked, to_both.float(), create_graph=True))
            return *(next(found) if is_wanted else None for is_wanted in wanted), None, None
        to_leak = to_both.sum((0, 2, 3), dtype=torch.float32).view(2, -1) if wanted[3] else None
        factors = excitatory.to(p.dtype), inhibitory.to(p.dtype)
        to_p, to_E, to_I = _gradients(to_both, p, *factors, ctx.options, wanted[:2])
        return to_p, *(None if each is None else each.float() for each in (to_E, to_I)), to_leak, None, None


def _formula(p: Tensor, excitatory: Tensor, inhibitory: Tensor, leak: Tensor, options: dict[str, Any]) -> Tensor:
    """E' of all units, then I', by the library's convolutions."""
    p = p.float()
    p_E, p_I = p[:, : excitatory.shape[1]], p[:, -inhibitory.shape[1] :]
    return torch.cat([F.conv2d(p_E, excitatory, leak[0], **options), F.conv2d(p_I, inhibitory, leak[1], **options)], 1)


def _gradients(
    to_both: Tensor,
    p: Tensor,
    excitatory: Tensor,
    inhibitory: Tensor,
    options: dict[str, Any],
    wanted: Sequence[bool],
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """With respect to p and to the conductances of both kinds, by the library's convolutions.

    Which of them is chosen as `products` chooses forward.
    """

    def of_product(grad: Tensor, read: Tensor, conductance: Tensor, groups: int) -> tuple[Tensor | None, Tensor | None]:
        how = (*(options[name] for name in OPTIONS), False, [0, 0], groups)
        found = torch.ops.aten.convolution_backward(grad, read, conductance, None, *how, [*wanted, False])
        return found[0], found[1]

    sizes = excitatory.shape[1], inhibitory.shape[1]
    read_by_both, alike = sizes[0] == p.shape[1], sizes[0] == sizes[1]
    if read_by_both or (alike and 2 * excitatory.numel() <= p.numel()):
        to_p, to_G = of_product(to_both, p, torch.cat([excitatory, inhibitory]), 1 if read_by_both else 2)
        return to_p, *(to_G.chunk(2) if to_G is not None else (None, None))
    halves = windows.contiguous_halves(p) if alike else p.split(sizes, 1)
    to_E, to_I = to_both.chunk(2, 1)
    p_E, G_E = of_product(to_E, halves[0], excitatory, 1)
    p_I, G_I = of_product(to_I, halves[1], inhibitory, 1)
    return None if p_E is None or p_I is None else torch.cat([p_E, p_I], 1), G_E, G_I


class _Average(Function):
    """Its outputs are z, or p, and D, so that autograd knows how both depend on E' and I', to differentiate twice."""

    @staticmethod
    def forward(
        ctx: Any, both: Tensor, shortcut: Tensor | None, rectify: bool, forward: Callable[[], tuple[Tensor, Tensor]]
    ) -> tuple[Tensor, Tensor]:
        del both
        z, total = forward()
        ctx.rectify = rectify
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(z, total, shortcut)
        return z, total

    @staticmethod
    def backward(ctx: Any, grad: Tensor | None, grad_total: Tensor | None) -> tuple[Tensor | None, ...]:
        z, total, shortcut = ctx.saved_tensors
        to_both = to_shortcut = None
        if grad is not None and not is_seen_through(grad) and grad_total is None:
            to_both = averaging.empty_twice(z, -3)
            to_shortcut = None if shortcut is None else averaging.empty_half(to_both, -3)
            native.backward(grad, z, total, None, to_both, -3, ctx.rectify, 0, shortcut, to_shortcut)
        elif grad is not None:
            if shortcut is not None:
                grad = to_shortcut = torch.where(z <= 0, 0, grad / 2)
                z = 2 * z - shortcut
            rectify = ctx.rectify and shortcut is None
            to_both = averaging.formula_gradient(grad, z, total, -3, rectify, z.dtype)
        if grad_total is not None:
            further = torch.cat([grad_total, grad_total], 1)
            to_both = further if to_both is None else to_both + further
        return to_both, to_shortcut, None, None
