r"""The end of a residual block in one pass: the average, its mean with the shortcut's :math:`s`, the rectification.

.. math:: p = \max\left(\frac{z + s}{2}, 0\right), \qquad \frac{\partial p}{\partial z} = \frac{\partial p}{\partial s}
          = \frac{1}{2} \quad \text{where } p > 0.

There z = 2 p - s. So backward needs p, s and D but not z. The next layer keeps p as its input anyway, and s has been
kept already.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from conductance.eager import is_seen_through
from conductance.kernels import averaging, native
from conductance.kernels.convolution import PendingConvolution, average_convolution
from conductance.kernels.mixed import SplitSums, Sums, average, shared_gradient


def _formula_gradient(
    grad: Tensor, p: Tensor, shortcut: Tensor, total: Tensor, axis: int, wide: torch.dtype
) -> tuple[Tensor, Tensor]:
    """With respect to E' and I', and to the shortcut."""
    half = torch.where(p <= 0, 0, grad / 2)
    z, slope, total = (each.to(wide) for each in (2 * p - shortcut, half, total))
    return averaging.formula_gradient(slope, z, total, axis, False, wide), half


class _JoinedAverage(Function):
    """p and D are both outputs, so that autograd knows how they depend on the parts and can differentiate twice."""

    @staticmethod
    def forward(
        ctx: Any,
        rest: Tensor,
        shared: Tensor | None,
        common: Tensor | None,
        leak: Tensor | None,
        shortcut: Tensor,
        axis: int,
    ) -> tuple[Tensor, Tensor]:
        p = averaging.empty_half(rest, axis)
        total = torch.empty_like(p)
        native.forward(rest, shared, common, leak, p, total, axis, True, shortcut)
        ctx.axis, ctx.width = axis, 0 if shared is None else shared.shape[axis]
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(p, shortcut, total, common)
        return p, total

    @staticmethod
    def backward(ctx: Any, grad: Tensor | None, grad_total: Tensor | None) -> tuple[Tensor | None, ...]:
        p, shortcut, total, common = ctx.saved_tensors
        axis, wide = ctx.axis, p.dtype if common is None else common.dtype
        to_both = to_shortcut = None
        if grad is not None and not is_seen_through(grad) and grad_total is None:
            to_both = averaging.empty_twice(p, axis)
            to_shortcut = averaging.empty_half(to_both, axis)
            to_shared = native.backward(grad, p, total, common, to_both, axis, True, ctx.width, shortcut, to_shortcut)
            return to_both, to_shared, None, None, to_shortcut, None
        if grad is not None:
            to_both, to_shortcut = _formula_gradient(grad, p, shortcut, total, axis, wide)
        if grad_total is not None:
            further = torch.cat([grad_total, grad_total], axis).to(wide)
            to_both = further if to_both is None else to_both + further
        if to_both is None or common is None:
            return to_both, None, None, None, to_shortcut, None
        return to_both.to(p.dtype), shared_gradient(to_both, common, axis, ctx.width), None, None, to_shortcut, None


def joined_average(sums: Sums, shortcut: Tensor, axis: int, dtype: torch.dtype | None = None) -> Tensor:
    """p = max((z + s) / 2, 0), with z = (E' - I') / (E' + I').

    Args:
        sums: E' of all units, then I', as for `mixed.average`.
        shortcut: s, of the shape of the result.
        axis: of the channels, counted from the end, so negative.
        dtype: type of z, by default that of ``sums``; of parts the result has the type of ``rest``.
    """
    if isinstance(sums, PendingConvolution) and sums.joins(shortcut):
        return average_convolution(sums, True, shortcut)
    parts = _parts_of_one_pass(sums, shortcut, axis, dtype)
    if parts is None:
        z = average(sums, axis, False, dtype)
        return (z + shortcut).mul_(0.5).relu_()
    rest, shared, common, leak = parts
    shortcut = shortcut.contiguous(memory_format=native.layout(rest))
    leaves = [each for each in (*parts, shortcut) if each is not None]
    if torch.is_grad_enabled() and any(each.requires_grad for each in leaves):
        result: Tensor = _JoinedAverage.apply(*parts, shortcut, axis)[0]
        return result
    p = averaging.empty_half(rest, axis)
    native.forward(rest, shared, common, leak, p, None, axis, True, shortcut)
    return p


_Parts = tuple[Tensor, Tensor | None, Tensor | None, Tensor | None]


def _parts_of_one_pass(sums: Sums, shortcut: Tensor, axis: int, dtype: torch.dtype | None) -> _Parts | None:
    """The sums in the parts that the compiled pass reads, None where it does not serve."""
    if isinstance(sums, Tensor):
        parts: _Parts = sums, None, None, None
    elif isinstance(sums, SplitSums) and sums.shared is not None and not sums.leak.requires_grad:
        parts = sums[:4]
    else:
        return None
    rest = parts[0]
    alike = rest.dtype == shortcut.dtype == (dtype or rest.dtype) and rest.device == shortcut.device
    fits = alike and shortcut.shape == rest.narrow(axis, 0, rest.shape[axis] // 2).shape
    return parts if fits and averaging.kernel_name(rest, axis) == "native" else None
