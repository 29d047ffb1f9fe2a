r"""The end of a residual block in one pass: the average, its mean with the shortcut's :math:`s`, the rectification.

.. math:: p = \max\left(\frac{z + s}{2}, 0\right), \qquad \frac{\partial p}{\partial z} = \frac{\partial p}{\partial s}
          = \frac{1}{2} \quad \text{where } p > 0.

There z = 2 p - s. So backward reads p, which the next layer keeps as its input anyway, s, which has been kept already,
and D; and nobody keeps z.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from conductance.kernels import averaging, native
from conductance.kernels.mixed import Sums, average


def _formula_gradient(grad: Tensor, p: Tensor, shortcut: Tensor, total: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """With respect to E' and I', and to the shortcut."""
    half = torch.where(p <= 0, 0, grad / 2)
    return averaging.formula_gradient(half, 2 * p - shortcut, total, axis, False, p.dtype), half


class _JoinedAverage(Function):
    """p and D are both outputs, so that autograd knows how they depend on E' and I' and can differentiate twice."""

    @staticmethod
    def forward(ctx: Any, both: Tensor, shortcut: Tensor, axis: int) -> tuple[Tensor, Tensor]:
        p = averaging.empty_half(both, axis)
        total = torch.empty_like(p)
        native.forward(both, None, None, None, p, total, axis, True, shortcut)
        ctx.axis = axis
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(p, shortcut, total)
        return p, total

    @staticmethod
    def backward(ctx: Any, grad: Tensor | None, grad_total: Tensor | None) -> tuple[Tensor | None, ...]:
        p, shortcut, total = ctx.saved_tensors
        to_both = to_shortcut = None
        if grad is not None and torch.is_grad_enabled():  # differentiated again: autograd has to see each operation
            to_both, to_shortcut = _formula_gradient(grad, p, shortcut, total, ctx.axis)
        elif grad is not None:
            to_both, to_shortcut = averaging.empty_twice(p, ctx.axis), torch.empty_like(p)
            native.backward(grad, p, total, None, to_both, ctx.axis, True, 0, shortcut, to_shortcut)
        if grad_total is not None:
            further = torch.cat([grad_total, grad_total], ctx.axis)
            to_both = further if to_both is None else to_both + further
        return to_both, to_shortcut, None


def joined_average(sums: Sums, shortcut: Tensor, axis: int, dtype: torch.dtype | None = None) -> Tensor:
    """p = max((z + s) / 2, 0), with z = (E' - I') / (E' + I').

    Args:
        sums: E' of all units, then I', as for `mixed.average`.
        shortcut: s, of the shape of the result.
        axis: of the channels, counted from the end, so negative.
        dtype: type of z, by default that of ``sums``.
    """
    if not _in_one_pass(sums, shortcut, axis, dtype):
        z = average(sums, axis, False, dtype)
        return (z + shortcut).mul_(0.5).relu_()
    assert isinstance(sums, Tensor)
    shortcut = shortcut.contiguous(memory_format=native.layout(sums))
    if torch.is_grad_enabled() and (sums.requires_grad or shortcut.requires_grad):
        result: Tensor = _JoinedAverage.apply(sums, shortcut, axis)[0]
        return result
    p = averaging.empty_half(sums, axis)
    native.forward(sums, None, None, None, p, None, axis, True, shortcut)
    return p


def _in_one_pass(sums: Sums, shortcut: Tensor, axis: int, dtype: torch.dtype | None) -> bool:
    if not isinstance(sums, Tensor) or sums.dtype != shortcut.dtype or dtype not in (None, sums.dtype):
        return False
    fits = shortcut.device == sums.device and shortcut.shape == sums.narrow(axis, 0, sums.shape[axis] // 2).shape
    return fits and averaging.kernel_name(sums, axis) == "native"
