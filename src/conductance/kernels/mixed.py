r"""Averages of sums of which the large, common part was kept apart.

E' and I' may be large and nearly equal, and once they are rounded little is left of their difference. So each unit's
conductances are split into what is common to them, :math:`c_i`, mostly their mean, and the rest (`kernels.splitting`).
The product over synapses gives the rest's sum alone, and

.. math:: E'_i = \text{rest}_i + c_i \sum_j p_j + \text{leak}_i,

where the sum of p is shared by all units and costs one channel. `average` puts the three together, divides and rounds,
so that nothing of full size and full precision goes through memory. What synapses open is
clamped at 0, below which rounding could lead it, so that z stays in [-1, 1].

In half precision every sum comes so, with the shared part in float32; in float32 where a layer's conductances are
nearly equal, as those of the paper's start are, with the shared part in float64.
"""

from collections.abc import Callable, Iterator
from functools import reduce
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function

from conductance.eager import eager, is_seen_through
from conductance.kernels import averaging, native
from conductance.kernels.averaging import Compiled
from conductance.kernels.convolution import PendingConvolution, average_convolution
from conductance.kernels.gpu.pending import Pending, average_pending


class SplitSums(NamedTuple):
    """E' of all units, then I', along the channels, in four parts; `dense` is their sum, in the units of conductance.

    ``shared`` holds one channel that all units read, or two: what the excitatory and what the inhibitory synapses read.
    On a GPU a float32 sum comes in parts too, without its leak, which the average adds on its way.
    """

    rest: Tensor  # (..., 2 * units, *positions), half precision; or all but the leak
    shared: Tensor | None  # (..., 1 or 2, *positions), of the next higher precision
    common: Tensor | None  # (2 * units,), to each unit's conductances, excitatory and inhibitory; without a gradient
    leak: Tensor  # (2 * units,)
    scale: Tensor | None = None  # (units,): by what E' and I' of each unit have been divided, None for not at all

    def detached(self) -> tuple[Any, ...]:
        """The parts as a compiler wants to see them inside autograd's own functions."""
        return tuple(None if part is None else part.detach() for part in self[:4])


Sums = Tensor | SplitSums | Pending | PendingConvolution
"""E' of all units, then I': whole, in parts, or not computed yet."""


def dense(sums: Sums, axis: int) -> Tensor:
    """E' of all units, then I', as one tensor, in float32 where it was in parts.

    Args:
        sums: whole or in parts.
        axis: of the channels, counted from the end.
    """
    if isinstance(sums, (Pending, PendingConvolution)):
        return dense(sums.sums(), axis)
    if isinstance(sums, Tensor):
        return sums
    whole = _sum_of_parts(sums, axis)
    if whole.dtype == torch.float64 and sums.rest.dtype == torch.float32:
        whole = whole.float()
    return whole if sums.scale is None else whole * _along(sums.scale.repeat(2), axis)


def _sum_of_parts(sums: SplitSums, axis: int) -> Tensor:
    if sums.shared is None or sums.common is None:
        return sums.rest + _along(sums.leak, axis)
    shared = sums.shared.repeat_interleave(sums.rest.shape[axis] // sums.shared.shape[axis], axis)
    opened = sums.rest.to(shared.dtype) + shared * _along(sums.common, axis)
    return opened.clamp(min=0) + _along(sums.leak, axis)


def scaled(sums: Sums, scale: Tensor, axis: int) -> Sums:
    """Sums that were computed from conductances divided by ``scale``, one number a unit."""
    if isinstance(sums, (Pending, PendingConvolution)):
        return scaled(sums.sums(), scale, axis)
    if isinstance(sums, SplitSums):
        return sums._replace(scale=scale)
    return sums * _along(scale.repeat(2), axis)


def joined(E: Tensor | SplitSums, I: Tensor | SplitSums, axis: int) -> Tensor | SplitSums:
    """One after the other along the channels: what is open to E of all units, then to I, both whole or both in parts.

    Parts stay parts where the units of each kind share one sum, as they do without groups.
    """
    if isinstance(E, SplitSums) and isinstance(I, SplitSums):
        rest, leak = torch.cat([E.rest, I.rest], axis), torch.cat([E.leak, I.leak])
        if E.shared is None or I.shared is None or E.common is None or I.common is None:
            return SplitSums(rest, None, None, leak)
        if E.shared.shape[axis] == I.shared.shape[axis] == 1:
            return SplitSums(rest, torch.cat([E.shared, I.shared], axis), torch.cat([E.common, I.common]), leak)
    return torch.cat([dense(E, axis), dense(I, axis)], axis)


def at_one_position(sums: Tensor | SplitSums, axes: int) -> Tensor | SplitSums:
    """Sums of a linear layer as those of a convolution that has a single position along each of its axes."""
    if isinstance(sums, Tensor):
        return sums.view(*sums.shape, *(1,) * axes)
    shared = None if sums.shared is None else sums.shared.view(*sums.shared.shape, *(1,) * axes)
    return sums._replace(rest=sums.rest.view(*sums.rest.shape, *(1,) * axes), shared=shared)


def _along(values: Tensor, axis: int) -> Tensor:
    """One value a channel, ready to be broadcast; float32 at least."""
    return values.to(torch.promote_types(values.dtype, torch.float32)).view(-1, *(1,) * (-1 - axis))


# The plain formula ----------------------------------------------------------------------------------------------------


def _formula(
    rest: Tensor, shared: Tensor | None, common: Tensor | None, leak: Tensor, axis: int, rectify: bool
) -> tuple[Tensor, Tensor]:
    """(z or p, D), z rounded as ``rest`` is and D as far as its type holds it."""
    return averaging.formula(_sum_of_parts(SplitSums(rest, shared, common, leak), axis), axis, rectify, rest.dtype)


def _formula_alone(
    rest: Tensor, shared: Tensor | None, common: Tensor | None, leak: Tensor, axis: int, rectify: bool
) -> Tensor:
    return _formula(rest, shared, common, leak, axis, rectify)[0]


class _How(NamedTuple):
    """Of which shape the parts are, and which gradients anybody asks for besides that of ``rest``."""

    shared_channels: int
    axis: int
    rectify: bool
    wants_shared: bool
    wants_leak: bool


_Gradients = tuple[Tensor, Tensor | None, Tensor | None]
"""With respect to ``rest``, ``shared`` and ``leak``."""


def _formula_gradient(grad: Tensor, z: Tensor, total: Tensor, common: Tensor | None, how: _How) -> _Gradients:
    wide = torch.float32 if common is None else common.dtype
    both = averaging.formula_gradient(grad.to(wide), z.to(wide), total.to(wide), how.axis, how.rectify, wide)
    return _gradients_of_parts(both, z.dtype, common, how)


def _gradients_of_parts(both: Tensor, dtype: torch.dtype, common: Tensor | None, how: _How) -> _Gradients:
    """From the gradient with respect to the sum of all parts."""
    axis = how.axis
    to_leak = _per_channel(both, axis) if how.wants_leak else None
    if common is None or not how.wants_shared:
        return both.to(dtype), None, to_leak
    return both.to(dtype), shared_gradient(both, common, axis, how.shared_channels), to_leak


def shared_gradient(both: Tensor, common: Tensor, axis: int, channels: int) -> Tensor:
    """With respect to the shared sum, of so many channels, from the gradient with respect to E' and I'."""
    kinds = (both * _along(common, axis)).chunk(channels, axis)
    return torch.cat([kind.sum(axis, keepdim=True) for kind in kinds], axis)


def _per_channel(tensor: Tensor, axis: int, dtype: torch.dtype | None = None) -> Tensor:
    """Its sum over all other axes."""
    others = [other for other in range(-tensor.ndim, 0) if other != axis]
    return tensor.sum(others, dtype=dtype) if others else tensor


# In blocks ------------------------------------------------------------------------------------------------------------


def _blocks(like: Tensor) -> Iterator[slice]:
    """Slices of the batch, of which each thread's float32 fits its cache."""
    rows = averaging.rows_of_a_block(like, torch.float32)
    return (slice(start, start + rows) for start in range(0, len(like), rows))


def _blocked(
    rest: Tensor, shared: Tensor, common: Tensor, leak: Tensor, axis: int, rectify: bool
) -> tuple[Tensor, Tensor]:
    total = torch.empty_like(rest.chunk(2, axis)[0], dtype=averaging.type_of_total(rest.dtype, torch.float32))
    return _blocked_alone(rest, shared, common, leak, axis, rectify, total), total


def _blocked_alone(
    rest: Tensor, shared: Tensor, common: Tensor, leak: Tensor, axis: int, rectify: bool, total: Tensor | None = None
) -> Tensor:
    """z or p, and D where there is a tensor for it."""
    rest_E, rest_I = rest.chunk(2, axis)
    shared_E, shared_I = shared.narrow(axis, 0, 1), shared.narrow(axis, -1, 1)
    common_E, common_I = _along(common, axis).chunk(2)
    leak_E, leak_I = _along(leak, axis).chunk(2)
    z = torch.empty_like(rest_E)
    for rows in _blocks(z):
        e = torch.addcmul(rest_E[rows].to(shared.dtype), shared_E[rows], common_E).clamp_(min=0).add_(leak_E)
        i = torch.addcmul(rest_I[rows].to(shared.dtype), shared_I[rows], common_I).clamp_(min=0).add_(leak_I)
        d = e + i
        v = e.sub_(i).div_(d)
        z[rows] = v.relu_() if rectify else v
        if total is not None:
            total[rows] = d
    return z


def _blocked_gradient(grad: Tensor, z: Tensor, total: Tensor, common: Tensor, how: _How) -> _Gradients:
    axis = how.axis
    common_E, common_I = _along(common, axis).chunk(2)
    to_rest = averaging.empty_twice(z, axis)
    rest_E, rest_I = to_rest.chunk(2, axis)
    to_shared, to_leak = [], torch.zeros_like(common)
    for rows in _blocks(z):
        v = z[rows].to(common.dtype)
        slope = grad[rows] / total[rows].to(common.dtype)
        if how.rectify:
            torch.ops.aten.threshold_backward.grad_input(slope, v, 0, grad_input=slope)
        to_E = torch.addcmul(slope, slope, v, value=-1)
        to_I = torch.sub(to_E, slope, alpha=2)  # slope (1 - z) - 2 slope = -slope (1 + z)
        rest_E[rows], rest_I[rows] = to_E, to_I
        if how.wants_leak:
            to_leak += torch.cat([_per_channel(to_E, axis), _per_channel(to_I, axis)])
        if how.wants_shared:
            by_kind = [to_E.mul_(common_E).sum(axis, keepdim=True), to_I.mul_(common_I).sum(axis, keepdim=True)]
            to_shared.append(torch.cat(by_kind, axis) if how.shared_channels == 2 else by_kind[0] + by_kind[1])
    return to_rest, torch.cat(to_shared) if how.wants_shared else None, to_leak if how.wants_leak else None


# As compiled C++ ------------------------------------------------------------------------------------------------------


def _native(
    rest: Tensor, shared: Tensor, common: Tensor, leak: Tensor, axis: int, rectify: bool
) -> tuple[Tensor, Tensor]:
    z = averaging.empty_half(rest, axis)
    total = torch.empty_like(z)
    native.forward(rest, shared, common, leak, z, total, axis, rectify)
    return z, total


def _native_alone(rest: Tensor, shared: Tensor, common: Tensor, leak: Tensor, axis: int, rectify: bool) -> Tensor:
    z = averaging.empty_half(rest, axis)
    native.forward(rest, shared, common, leak, z, None, axis, rectify)
    return z


def _native_gradient(grad: Tensor, z: Tensor, total: Tensor, common: Tensor, how: _How) -> _Gradients:
    if how.wants_leak:  # rare, and a sum over all positions, which what is rounded for the product does not serve
        return _blocked_gradient(grad, z, total, common, how)
    to_rest = averaging.empty_twice(z, how.axis)
    return to_rest, native.backward(grad, z, total, common, to_rest, how.axis, how.rectify, how.shared_channels), None


# In Triton ------------------------------------------------------------------------------------------------------------


def _triton(
    rest: Tensor, shared: Tensor | None, common: Tensor | None, leak: Tensor, axis: int, rectify: bool
) -> tuple[Tensor, Tensor | None]:
    from conductance.kernels.gpu import average as launch

    total = averaging.type_of_total(rest.dtype, torch.promote_types(rest.dtype, torch.float32))
    return launch.average_parts(rest, shared, common, leak, axis, rectify, rest.dtype, total)


def _triton_alone(
    rest: Tensor, shared: Tensor | None, common: Tensor | None, leak: Tensor, axis: int, rectify: bool
) -> Tensor:
    from conductance.kernels.gpu import average as launch

    return launch.average_parts(rest, shared, common, leak, axis, rectify, rest.dtype, None)[0]


def _triton_gradient(grad: Tensor, z: Tensor, total: Tensor, common: Tensor | None, how: _How) -> _Gradients:
    from conductance.kernels.gpu import average as launch

    shared = how.shared_channels if how.wants_shared else 0
    to_rest, to_shared = launch.gradient_of_parts(grad, z, total, common, shared, how.axis, how.rectify, z.dtype)
    return to_rest, to_shared, _per_channel(to_rest, how.axis, torch.float32) if how.wants_leak else None


# The choice -----------------------------------------------------------------------------------------------------------


class _Kernel(NamedTuple):
    """As `averaging.AverageKernel`, of parts."""

    forward: Callable[..., tuple[Tensor, Any]]
    alone: Callable[..., Tensor]
    backward: Callable[..., _Gradients]


_KERNELS = {
    "formula": _Kernel(_formula, _formula_alone, _formula_gradient),
    "blocked": _Kernel(_blocked, _blocked_alone, _blocked_gradient),
    "native": _Kernel(_native, _native_alone, _native_gradient),
    "compiled": _Kernel(Compiled(_formula), Compiled(_formula_alone), Compiled(_formula_gradient)),
    "triton": _Kernel(_triton, _triton_alone, _triton_gradient),
}


def _kernel_name(rest: Tensor, shared: Tensor | None, axis: int) -> str:
    name = averaging.kernel_name(rest, axis)
    in_double = shared is not None and shared.dtype == torch.float64
    return "formula" if in_double and name in ("triton", "compiled") else name


class _SplitAverage(Function):
    """Both z and D are outputs, so that autograd knows how they depend on the parts and can differentiate twice."""

    @staticmethod
    def forward(
        ctx: Any,
        rest: Tensor,
        shared: Tensor | None,
        common: Tensor | None,
        leak: Tensor,
        axis: int,
        rectify: bool,
    ) -> tuple[Tensor, Tensor]:
        name = _kernel_name(rest, shared, axis)
        ctx.kernel = _KERNELS[name]
        z, total = ctx.kernel.forward(*SplitSums(rest, shared, common, leak).detached(), axis, rectify)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(z, total, common)
        wanted = (True,) * 4 if name == "compiled" else ctx.needs_input_grad  # or each choice would be compiled anew
        _, wants_shared, _, wants_leak, *_ = wanted
        channels = 0 if shared is None else shared.shape[axis]
        ctx.how, ctx.leak_type = _How(channels, axis, rectify, wants_shared, wants_leak), leak.dtype
        return z, total

    @staticmethod
    def backward(ctx: Any, grad: Tensor | None, grad_total: Tensor | None) -> tuple[Tensor | None, ...]:
        z, total, common = ctx.saved_tensors
        total = averaging.divided_by(total, z.dtype)
        found: list[_Gradients] = []
        if grad is not None and is_seen_through(grad):
            found.append(_formula_gradient(grad, z, total, common, ctx.how))
        elif grad is not None:
            found.append(ctx.kernel.backward(grad, z.detach(), total.detach(), common, ctx.how))
        if grad_total is not None:
            both = torch.cat([grad_total, grad_total], ctx.how.axis)
            both = both.to(torch.float32 if common is None else common.dtype)
            found.append(_gradients_of_parts(both, z.dtype, common, ctx.how))
        to_rest, to_shared, to_leak = (_sum_of_known(parts) for parts in zip(*found, strict=True))
        return to_rest, to_shared, None, None if to_leak is None else to_leak.to(ctx.leak_type), None, None


def _sum_of_known(parts: tuple[Tensor | None, ...]) -> Tensor | None:
    known = [part for part in parts if part is not None]
    return reduce(torch.add, known) if known else None


def average(sums: Sums, axis: int, rectify: bool, dtype: torch.dtype | None = None) -> Tensor:
    """z = (E' - I') / (E' + I'), or p = max(z, 0).

    Args:
        sums: E' of all units, then I', along ``axis``, whole, in parts or pending; both positive.
        axis: of the channels, counted from the end, so negative.
        rectify: p instead of z.
        dtype: type of the result, by default that of ``sums``. Of parts the result has the type of ``rest``.
    """
    if isinstance(sums, Pending):
        return average_pending(sums, rectify, dtype)
    if isinstance(sums, PendingConvolution):
        return average_convolution(sums, rectify).to(dtype or sums.p.dtype)
    if isinstance(sums, Tensor):
        return averaging.average(sums, axis, rectify, dtype)
    if not eager():
        return averaging.average(_sum_of_parts(sums, axis), axis, rectify, sums.rest.dtype)
    parts = sums[:4]  # z depends on no scale
    if torch.is_grad_enabled() and any(part is not None and part.requires_grad for part in parts):
        result: Tensor = _SplitAverage.apply(*parts, axis, rectify)[0]
        return result
    return _KERNELS[_kernel_name(sums.rest, sums.shared, axis)].alone(*sums.detached(), axis, rectify)
