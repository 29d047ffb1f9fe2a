r"""A layer's pooled interneuron, forward and backward: from the units' potentials to those that it leaves them.

The interneuron sits at the mean m of the units' potentials z and acts back on all of them
(`functional.pooled_interneuron`). With :math:`s = 1 + |m|` and the gradient :math:`g` with respect to z',

.. math:: z'_i = \frac{z_i - m}{s}, \qquad
          \frac{\partial L}{\partial z_i}
          = \frac{1}{s}\Big(g_i - \frac{1}{n} \sum_j g_j (1 + \mathrm{sgn}(m)\, z'_j)\Big),

where g is 0 for units that the rectification closes. So backward reads the result, which the next layer keeps as its
input anyway, and m, one number for all units of a position.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from conductance.eager import eager, is_seen_through
from conductance.kernels import averaging, native
from conductance.kernels.averaging import rows_of_a_block
from conductance.kernels.convolution import (
    PendingConvolution,
    average_convolution,
    potential_and_total,
    sums_with_gradient,
)
from conductance.kernels.gpu.pending import Pending
from conductance.kernels.mixed import SplitSums, Sums, average, dense


def formula(potential: Tensor, axis: int, rectify: bool, dtype: torch.dtype) -> Tensor:
    """z' or p, in plain operations."""
    mean = potential.mean(axis, keepdim=True)
    z = (potential - mean) / (1 + mean.abs())
    return (z.relu() if rectify else z).to(dtype)


def _blocks(potential: Tensor, axis: int) -> Iterator[slice]:
    """Slices of the batch that stay in the processor's cache; all of it where there is no batch, and elsewhere."""
    in_blocks = potential.device.type == "cpu" and potential.ndim + axis > 0
    rows = rows_of_a_block(potential, potential.dtype) if in_blocks and potential.numel() else max(1, len(potential))
    return (slice(start, start + rows) for start in range(0, len(potential), rows))


def _forward(potential: Tensor, axis: int, rectify: bool, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """z' or p, and m."""
    result = torch.empty_like(potential, dtype=dtype)
    shape = list(potential.shape)
    shape[axis] = 1
    mean = potential.new_empty(shape)
    for rows in _blocks(potential, axis):
        z, m = potential[rows], mean[rows]
        torch.mean(z, axis, keepdim=True, out=m)
        shifted = torch.sub(z, m).mul_((1 + m.abs()).reciprocal_())
        result[rows] = shifted.relu_() if rectify else shifted
    return result, mean


def _gradient(grad: Tensor, result: Tensor, mean: Tensor, axis: int, rectify: bool) -> Tensor:
    """With respect to the potentials, in their type."""
    out = torch.empty_like(result, dtype=mean.dtype)
    for rows in _blocks(result, axis):
        m, g, z = mean[rows], grad[rows].to(mean.dtype), result[rows].to(mean.dtype)
        if rectify:
            g = torch.ops.aten.threshold_backward(g, z, 0)
        shared = torch.addcmul(g, g, z * m.sign()).mean(axis, keepdim=True)
        torch.mul(g.sub(shared), (1 + m.abs()).reciprocal_(), out=out[rows])
    return out


def _formula_gradient(grad: Tensor, potential: Tensor, axis: int, rectify: bool, dtype: torch.dtype) -> Tensor:
    """The same, in operations that torch sees."""
    with torch.enable_grad():
        result = formula(potential, axis, rectify, dtype)
        return torch.autograd.grad(result, potential, grad, create_graph=True)[0]


class _Pool(Function):
    @staticmethod
    def forward(ctx: Any, potential: Tensor, axis: int, rectify: bool, dtype: torch.dtype) -> Tensor:
        result, mean = _forward(potential.detach(), axis, rectify, dtype)
        ctx.how = axis, rectify, dtype
        ctx.save_for_backward(potential, result, mean)
        return result

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        potential, result, mean = ctx.saved_tensors
        axis, rectify, dtype = ctx.how
        if is_seen_through(grad):
            return _formula_gradient(grad, potential, axis, rectify, dtype), None, None, None
        return _gradient(grad, result.detach(), mean, axis, rectify), None, None, None


def pool(potential: Tensor, axis: int, rectify: bool, dtype: torch.dtype | None = None) -> Tensor:
    """``z' = (z - m) / (1 + |m|)`` with m the mean of z over the units, or p = max(z', 0).

    Args:
        potential: z before the interneuron acts; float32 where the result is to be rounded, for z - m is a difference.
        axis: of the units, counted from the end, so negative.
        rectify: p instead of z'.
        dtype: type of the result, that of ``potential`` by default.
    """
    dtype = dtype or potential.dtype
    if not eager():
        return formula(potential, axis, rectify, dtype)
    if potential.requires_grad and torch.is_grad_enabled():
        result: Tensor = _Pool.apply(potential, axis, rectify, dtype)
        return result
    return _forward(potential, axis, rectify, dtype)[0]


# Together with the average, as compiled C++ ---------------------------------------------------------------------------


def _native_forward(
    both: Tensor, axis: int, rectify: bool, *, keep: bool
) -> tuple[Tensor, Tensor, Tensor | None, Tensor]:
    """z' or p, z, D and m; where nobody keeps z and D, the first takes the room of z."""
    result = averaging.empty_half(both, axis)
    z, total = (torch.empty_like(result), torch.empty_like(result)) if keep else (result, None)
    mean = _room_for_mean(both, axis)
    native.pooled_forward(both, z, total, mean, result, axis, rectify)
    return result, z, total, mean


def _of_convolution(sums: PendingConvolution, axis: int, rectify: bool) -> tuple[Tensor, Tensor, Tensor | None, Tensor]:
    """As `_native_forward`, of sums that have not been computed."""
    z, total = potential_and_total(sums)
    result, mean = torch.empty_like(z), _room_for_mean(z, axis)
    native.pool(z, mean, result, axis, rectify)
    return result, z, total, mean


def _room_for_mean(like: Tensor, axis: int) -> Tensor:
    return torch.empty_like(like.narrow(axis, 0, 1))


class _PooledAverage(Function):
    """z and D are outputs too, so that autograd knows how they depend on E' and I' and can differentiate twice."""

    @staticmethod
    def forward(
        ctx: Any,
        both: Tensor,
        axis: int,
        rectify: bool,
        compute: Callable[[], tuple[Tensor, Tensor, Tensor | None, Tensor]],
    ) -> tuple[Tensor, Tensor, Tensor]:
        del both
        result, z, total, mean = compute()
        assert total is not None
        ctx.how = axis, rectify
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(z, total, mean)
        return result, z, total

    @staticmethod
    def backward(ctx: Any, grad: Tensor | None, grad_z: Tensor | None, grad_total: Tensor | None) -> tuple[Any, ...]:
        z, total, mean = ctx.saved_tensors
        axis, rectify = ctx.how
        if grad is not None and not is_seen_through(grad) and grad_z is grad_total is None:
            out = averaging.empty_twice(z, axis)
            native.pooled_backward(grad, z, total, mean, out, axis, rectify)
            return out, None, None, None
        if grad is not None:
            of_pool = _formula_gradient(grad, z, axis, rectify, z.dtype)
            grad_z = of_pool if grad_z is None else grad_z + of_pool
        out = torch.zeros_like(torch.cat([z, z], axis))
        if grad_z is not None:
            out = averaging.formula_gradient(grad_z, z, total, axis, False, z.dtype)
        return out if grad_total is None else out + torch.cat([grad_total, grad_total], axis), None, None, None


def pooled_average(sums: Sums, axis: int, rectify: bool, dtype: torch.dtype | None = None) -> Tensor:
    """The average of E' and I' on which the pooled interneuron has acted: z', or p = max(z', 0).

    Args:
        sums: as for `mixed.average`.
        axis: of the channels, counted from the end, so negative.
        rectify: p instead of z'.
        dtype: type of the result, by default that of ``sums``; of parts the result has the type of ``rest``.
    """
    if isinstance(sums, PendingConvolution) and sums.p.dtype in native.POOLED:
        if sums.learns:
            both = sums_with_gradient(sums)
            found: Tensor = _PooledAverage.apply(both, axis, rectify, partial(_of_convolution, sums, axis, rectify))[0]
        else:
            found = average_convolution(sums, False)
            native.pool(found, _room_for_mean(found, axis), found, axis, rectify)
        return found if dtype is None else found.to(dtype)
    if isinstance(sums, PendingConvolution) or (isinstance(sums, Pending) and sums.dtype is not None):
        sums = sums.sums()
    if isinstance(sums, SplitSums) and sums.shared is not None:  # z is not rounded before m is subtracted
        dtype, sums = sums.rest.dtype, dense(sums, axis)
    if isinstance(sums, Tensor) and sums.dtype in native.POOLED and averaging.kernel_name(sums, axis) == "native":
        if sums.requires_grad and torch.is_grad_enabled():
            compute = partial(_native_forward, sums.detach(), axis, rectify, keep=True)
            result: Tensor = _PooledAverage.apply(sums, axis, rectify, compute)[0]
        else:
            result = _native_forward(sums, axis, rectify, keep=False)[0]
        return result if dtype is None else result.to(dtype)
    return pool(average(sums, axis, False), axis, rectify, dtype)
