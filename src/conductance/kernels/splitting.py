"""What split sums (`kernels.mixed`) are made of: each unit's mean conductance and the rest, p and its channel sums.

In C++ conductances become mean and rest in one pass, and a sum over channels is another. Backward the gradients of p
and of its sums meet, and are added in one pass: autograd would write out the sums' gradient at full size first.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from conductance.kernels import averaging, native

# Conductances ---------------------------------------------------------------------------------------------------------


class _MeanAndRest(Function):
    @staticmethod
    def forward(ctx: Any, conductance: Tensor, kinds: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        ctx.conductance_type, ctx.kinds = conductance.dtype, kinds
        units, fan_in = len(conductance), conductance.shape[1] // kinds
        layout = torch.contiguous_format if conductance.is_contiguous() else torch.channels_last
        shape = kinds * units, fan_in, *conductance.shape[2:]
        rest = torch.empty(shape, dtype=dtype, device=conductance.device, memory_format=layout)
        mean = torch.empty(kinds * units, device=conductance.device)
        native.split(conductance, rest, mean.view(kinds, units))
        ctx.mark_non_differentiable(mean)
        return rest, mean

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        if ctx.kinds == 1:
            return grad.to(ctx.conductance_type), None, None
        by_kind = grad.unflatten(0, (ctx.kinds, -1)).transpose(0, 1)
        return by_kind.to(ctx.conductance_type, memory_format=torch.contiguous_format).flatten(1, 2), None, None


def mean_and_rest(conductance: Tensor, kinds: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """The rest of each conductance, rounded, and each unit's mean in float32, which gets no gradient.

    Args:
        conductance: (units, kinds * fan-in, *kernel), one kind of presynaptic channels after the other.
        kinds: that have means of their own; 2 for a linear layer alone.
        dtype: of the rest.

    Returns:
        The rest, (kinds * units, fan-in, *kernel), one kind below the other, and the means, (kinds * units,).
    """
    rounds = conductance.dtype == torch.float32 and dtype == torch.bfloat16
    if rounds and averaging.kernel_name(conductance, 1 - conductance.ndim) == "native":
        rest, mean = _MeanAndRest.apply(conductance, kinds, dtype)
        return rest, mean
    if kinds > 1:
        conductance = torch.cat(conductance.chunk(kinds, 1))
    mean = conductance.detach().float().flatten(1).mean(1)
    return (conductance - mean.view(-1, *(1,) * (conductance.ndim - 1))).to(dtype), mean


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
        if torch.is_grad_enabled():  # to be differentiated again: autograd has to see each operation
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
