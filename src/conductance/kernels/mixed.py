r"""Averages in half precision, from sums of which the large, common part was kept apart in float32.

E' and I' are large and nearly equal, and rounded to 8 or 11 bits they would leave little of their difference. So each
unit's conductances are split into their mean and the rest: the low-precision product gives the rest's sum alone, and

.. math:: E'_i = \text{rest}_i + \bar G_i \sum_j p_j + \text{leak}_i,

where the sum of p is shared by all units and costs one channel. `average` puts the three together, divides and rounds,
in blocks that stay in the processor's cache, so that nothing of float32 and full size goes through memory.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function

from conductance.kernels import averaging
from conductance.kernels._eager import eager


class SplitSums(NamedTuple):
    """E' of all units, then I', along the channels, in four parts; `restored` is their sum.

    ``shared`` holds one channel that all units read, or two: what the excitatory and what the inhibitory synapses read.
    """

    rest: Tensor  # (..., 2 * units, *positions), half precision
    shared: Tensor  # (..., 1 or 2, *positions), float32
    mean: Tensor  # (2 * units,), of each unit's conductances, excitatory and inhibitory; without a gradient
    leak: Tensor  # (2 * units,)


def restored(sums: Tensor | SplitSums, axis: int) -> Tensor:
    """E' of all units, then I', as one tensor, in float32 where it was in parts.

    Args:
        sums: whole or in parts.
        axis: of the channels, counted from the end.
    """
    if isinstance(sums, Tensor):
        return sums
    shared = sums.shared.repeat_interleave(sums.rest.shape[axis] // sums.shared.shape[axis], axis)
    return sums.rest.float() + shared * _along(sums.mean, axis) + _along(sums.leak, axis)


def joined(E: Tensor | SplitSums, I: Tensor | SplitSums, axis: int) -> Tensor | SplitSums:
    """One after the other along the channels: what is open to E of all units, then to I, both whole or both in parts.

    Parts stay parts where the units of each kind share one sum, as they do without groups.
    """
    if isinstance(E, SplitSums) and isinstance(I, SplitSums) and E.shared.shape[axis] == I.shared.shape[axis] == 1:
        rest, shared = torch.cat([E.rest, I.rest], axis), torch.cat([E.shared, I.shared], axis)
        return SplitSums(rest, shared, torch.cat([E.mean, I.mean]), torch.cat([E.leak, I.leak]))
    return torch.cat([restored(E, axis), restored(I, axis)], axis)


def _along(values: Tensor, axis: int) -> Tensor:
    """One value a channel, ready to be broadcast."""
    return values.float().view(-1, *(1,) * (-1 - axis))


# In blocks ------------------------------------------------------------------------------------------------------------


def _blocks(like: Tensor) -> Iterator[slice]:
    """Slices of the batch, of which each thread's float32 fits its cache."""
    bytes_per_row = 4 * like[0].numel()
    rows = max(1, averaging.BLOCK_BYTES * torch.get_num_threads() // bytes_per_row)
    return (slice(start, start + rows) for start in range(0, len(like), rows))


def _average(sums: SplitSums, axis: int, rectify: bool, keep_total: bool) -> tuple[Tensor, Tensor | None]:
    """(z or p, D where it is wanted)."""
    rest_E, rest_I = sums.rest.chunk(2, axis)
    shared_E, shared_I = sums.shared.narrow(axis, 0, 1), sums.shared.narrow(axis, -1, 1)
    mean_E, mean_I = _along(sums.mean, axis).chunk(2)
    leak_E, leak_I = _along(sums.leak, axis).chunk(2)
    z = torch.empty_like(rest_E)
    total = torch.empty_like(rest_E) if keep_total else None
    for rows in _blocks(z):
        e = rest_E[rows].float().addcmul_(shared_E[rows], mean_E).add_(leak_E)
        i = rest_I[rows].float().addcmul_(shared_I[rows], mean_I).add_(leak_I)
        d = e + i
        v = e.sub_(i).div_(d)
        z[rows] = v.relu_() if rectify else v
        if total is not None:
            total[rows] = d
    return z, total


def _gradients(
    grad: Tensor, z: Tensor, total: Tensor, mean: Tensor, shared_channels: int, axis: int, rectify: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients with respect to ``rest``, ``shared`` and ``leak``."""
    mean_E, mean_I = _along(mean, axis).chunk(2)
    to_rest = averaging.empty_twice(z, axis)
    rest_E, rest_I = to_rest.chunk(2, axis)
    to_shared, to_leak = [], torch.zeros_like(mean)
    for rows in _blocks(z):
        v = z[rows].float()
        slope = grad[rows] / total[rows].float()
        if rectify:
            torch.ops.aten.threshold_backward.grad_input(slope, v, 0, grad_input=slope)
        to_E = torch.addcmul(slope, slope, v, value=-1)
        to_I = torch.sub(to_E, slope, alpha=2)  # slope (1 - z) - 2 slope = -slope (1 + z)
        rest_E[rows], rest_I[rows] = to_E, to_I
        to_leak += torch.cat([to_E.sum(_others(v, axis)), to_I.sum(_others(v, axis))])
        by_kind = [to_E.mul_(mean_E).sum(axis, keepdim=True), to_I.mul_(mean_I).sum(axis, keepdim=True)]
        to_shared.append(torch.cat(by_kind, axis) if shared_channels == 2 else by_kind[0] + by_kind[1])
    return to_rest, torch.cat(to_shared), to_leak


def _gradients_by_the_formula(
    grad: Tensor | None,
    grad_total: Tensor | None,
    z: Tensor,
    total: Tensor,
    mean: Tensor,
    shared_channels: int,
    axis: int,
    rectify: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """The same in plain operations, which autograd can differentiate again."""
    both = torch.zeros_like(torch.cat([z, z], axis), dtype=torch.float32)
    if grad is not None:
        both = averaging.formula_gradient(grad.float(), z.float(), total.float(), axis, rectify, torch.float32)
    if grad_total is not None:
        both = both + torch.cat([grad_total, grad_total], axis)
    halves = (both * _along(mean, axis)).unflatten(axis, (shared_channels, -1))
    return both.to(z.dtype), halves.sum(axis), both.sum(_others(z, axis))


def _others(tensor: Tensor, axis: int) -> list[int]:
    """All axes but this one."""
    return [other for other in range(-tensor.ndim, 0) if other != axis]


class _SplitAverage(Function):
    """Both z and D are outputs, so that autograd knows how they depend on the parts and can differentiate twice."""

    @staticmethod
    def forward(
        ctx: Any, rest: Tensor, shared: Tensor, mean: Tensor, leak: Tensor, axis: int, rectify: bool
    ) -> tuple[Tensor, Tensor]:
        z, total = _average(SplitSums(rest, shared, mean, leak), axis, rectify, keep_total=True)
        assert total is not None
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(z, total, mean)
        ctx.axis, ctx.rectify, ctx.shared_channels, ctx.leak_type = axis, rectify, shared.shape[axis], leak.dtype
        return z, total

    @staticmethod
    def backward(ctx: Any, grad: Tensor | None, grad_total: Tensor | None) -> tuple[Tensor | None, ...]:
        z, total, mean = ctx.saved_tensors
        how = (mean, ctx.shared_channels, ctx.axis, ctx.rectify)
        if grad is None or grad_total is not None or torch.is_grad_enabled():
            to_rest, to_shared, to_leak = _gradients_by_the_formula(grad, grad_total, z, total, *how)
        else:
            to_rest, to_shared, to_leak = _gradients(grad, z, total, *how)
        return to_rest, to_shared, None, to_leak.to(ctx.leak_type), None, None


def _suits_blocks(rest: Tensor, axis: int) -> bool:
    return eager() and rest.device.type == "cpu" and rest.ndim + axis > 0 and rest.numel() > 0


def average(sums: Tensor | SplitSums, axis: int, rectify: bool, dtype: torch.dtype | None = None) -> Tensor:
    """z = (E' - I') / (E' + I'), or p = max(z, 0).

    Args:
        sums: E' of all units, then I', along ``axis``, whole or in parts; both positive.
        axis: of the channels, counted from the end, so negative.
        rectify: p instead of z.
        dtype: type of the result, by default that of ``sums``. Of parts the result has the type of ``rest``.
    """
    if isinstance(sums, Tensor):
        return averaging.average(sums, axis, rectify, dtype)
    if not _suits_blocks(sums.rest, axis):
        return averaging.average(restored(sums, axis), axis, rectify, sums.rest.dtype)
    if torch.is_grad_enabled() and any(part.requires_grad for part in sums):
        result: Tensor = _SplitAverage.apply(*sums, axis, rectify)[0]
        return result
    return _average(sums, axis, rectify, keep_total=False)[0]
