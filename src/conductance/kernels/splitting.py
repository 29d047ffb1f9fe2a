r"""What split sums (`kernels.mixed`) are made of: what is common to a unit's conductances and the rest, p and its sums.

The rest :math:`G_j - c` is rounded, and so is its sum. c should be a unit's mean: the rest is small then where
conductances are nearly equal, and its sum where there are many. But where a few synapses have most of the conductance
and are closed, :math:`E' = \sum_j (G_j - c) p_j + c \sum_j p_j` is a small difference of two large numbers, one of
which is rounded. So c is at most :math:`2 \min_j G_j` at such a unit. No :math:`|G_j - c|` is above :math:`G_j` then,
so that rounding p, the rest and its sum changes E', and z, by three roundings at most, whatever p is. The unit loses
nothing by it: where few synapses count, what each does is far more than what rounding does. A unit of
many synapses is as exact where it has a leak or what is open conducts.

In C++ conductances are split in one pass, and a sum over channels is another. Backward the gradients of p and of its
sums meet, and are added in one pass: autograd would write out the sums' gradient at full size first.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from conductance.eager import is_seen_through
from conductance.kernels import averaging, native

# Conductances ---------------------------------------------------------------------------------------------------------

# As many synapses have to share a unit's conductance, (sum of G)^2 / (sum of G^2), to have their mean split off.
MANY = 64


class _CommonAndRest(Function):
    @staticmethod
    def forward(ctx: Any, conductance: Tensor, kinds: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        ctx.conductance_type, ctx.kinds = conductance.dtype, kinds
        units, fan_in = len(conductance), conductance.shape[1] // kinds
        layout = torch.contiguous_format if conductance.is_contiguous() else torch.channels_last
        shape = kinds * units, fan_in, *conductance.shape[2:]
        rest = torch.empty(shape, dtype=dtype, device=conductance.device, memory_format=layout)
        common = torch.empty(kinds * units, device=conductance.device)
        native.split(conductance, rest, common.view(kinds, units), MANY)
        ctx.mark_non_differentiable(common)
        return rest, common

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        side_by_side = grad if ctx.kinds == 1 else torch.cat(grad.chunk(ctx.kinds), 1)
        return side_by_side.to(ctx.conductance_type), None, None


def common_and_rest(conductance: Tensor, kinds: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """What is common to each unit's conductances, in float32 and without a gradient, and the rest of each, rounded.

    Args:
        conductance: (units, kinds * fan-in, *kernel), one kind of presynaptic channels after the other.
        kinds: that have something in common each; 2 for a linear layer alone.
        dtype: of the rest.

    Returns:
        What is common, (kinds * units,), and the rest, (kinds * units, fan-in, *kernel), one kind below the other.
    """
    rounds = conductance.dtype == torch.float32 and dtype == torch.bfloat16
    if rounds and averaging.kernel_name(conductance, 1 - conductance.ndim) == "native":
        rest, common = _CommonAndRest.apply(conductance, kinds, dtype)
        return common, rest
    if kinds > 1:
        conductance = torch.cat(conductance.chunk(kinds, 1))
    common = common_to_rows(conductance.detach().float().flatten(1))
    return common, (conductance - common.view(-1, *(1,) * (conductance.ndim - 1))).to(dtype)


def common_to_rows(conductance: Tensor) -> Tensor:
    """What is common to the conductances of each row, (rows,); 0 where there are none."""
    if conductance.shape[1] == 0:
        return conductance.new_zeros(len(conductance))
    mean, share_by_many = conductance.mean(1), conductance.sum(1).square() > MANY * conductance.square().sum(1)
    return torch.where(share_by_many, mean, torch.minimum(mean, 2 * conductance.amin(1)))


# Open probabilities ---------------------------------------------------------------------------------------------------


def formula(p: Tensor, groups: int, axis: int, dtype: torch.dtype) -> Tensor:
    """The sums alone, in plain operations."""
    return p.unflatten(axis, (groups, -1)).sum(axis, dtype=dtype)


def _sums(p: Tensor, groups: int, axis: int, dtype: torch.dtype) -> Tensor:
    sums = torch.empty_like(p.narrow(axis, 0, groups), dtype=dtype)
    native.channel_sums(p, sums, axis)
    return sums


class _Shared(Function):
    @staticmethod
    def forward(ctx: Any, p: Tensor, groups: int, axis: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        ctx.how = groups, axis, native.layout(p)  # gradients may come in another one
        return p.view_as(p), _sums(p, groups, axis, dtype)

    @staticmethod
    def backward(ctx: Any, of_p: Tensor, of_sums: Tensor) -> tuple[Tensor | None, ...]:
        groups, axis, layout = ctx.how
        if is_seen_through(of_p):
            spread = of_sums.repeat_interleave(of_p.shape[axis] // groups, axis)
            return of_p + spread.to(of_p.dtype), None, None, None
        result = torch.empty_like(of_p, memory_format=layout)
        native.join_gradients(of_p, of_sums, result, axis)
        return result, None, None, None


def with_sums(p: Tensor, groups: int, axis: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """p itself, for the product, and its sums over the channels of each group, (..., groups, *positions).

    Args:
        p: open probabilities.
        groups: of its channels.
        axis: of its channels, counted from the end.
        dtype: in which to add.
    """
    if averaging.kernel_name(p, axis) != "native":
        return p, formula(p, groups, axis, dtype)
    if p.requires_grad and torch.is_grad_enabled():
        same, sums = _Shared.apply(p, groups, axis, dtype)
        return same, sums
    return p, _sums(p, groups, axis, dtype)
