"""The sums over synapses: E' of all units, then I', by as few products as the valences allow.

Two steps. `pack` puts the conductances into the order that the products read, which is the same for every input, so
that frozen networks do it once. `open_conductances` multiplies them with open probabilities.

Where rounding E' and I' would leave little of their difference, each unit's conductances are split into what is common
to them and the rest: the former multiplies a sum of p that all units share, kept in higher precision, and only the rest
goes through the product (`kernels.mixed`). That is so in half precision, and in float32 where conductances are nearly
equal.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional as F

from conductance.eager import constant_when_compiled, eager
from conductance.errors import InputError
from conductance.kernels import averaging, rounded, windows
from conductance.kernels.convolution import pending_convolution
from conductance.kernels.gpu.choice import on_gpu
from conductance.kernels.gpu.pending import is_matrix, pending
from conductance.kernels.linear import paired_linear, product
from conductance.kernels.mixed import SplitSums, Sums, at_one_position, dense, joined, scaled
from conductance.kernels.splitting import common_and_rest, with_sums
from conductance.valence import Valence

# Sums of float16 stay below this (its largest number is 65504).
FLOAT16_ROOM = 2.0**13

# A product of fewer multiplications takes less time than what is done around it.
SMALL = 2**20

# With no leak and no open synapse z would be 0/0. This floor prevents it, and is lost beside any real conductance.
SMALLEST_LEAK = 1e-30

_PLAIN: dict[int, Callable[..., Tensor]] = {2: F.linear, 3: F.conv1d, 4: F.conv2d, 5: F.conv3d}


def channel_axis(conductance: Tensor) -> int:
    """Channels come last for a linear layer, before the positions for a convolution, batch or no batch."""
    return 1 - conductance.ndim


def low_precision(p: Tensor, conductance: Tensor) -> torch.dtype | None:
    """The half-precision type that a product of the two would be rounded to, None where it would not."""
    if torch.float64 in (p.dtype, conductance.dtype):  # which autocast leaves alone
        return None
    if _knows_autocast(p.device.type) and torch.is_autocast_enabled(p.device.type):
        dtype = torch.get_autocast_dtype(p.device.type)
    else:
        dtype = torch.promote_types(p.dtype, conductance.dtype)
    return dtype if dtype in (torch.bfloat16, torch.float16) else None


def without_autocast(device_type: str) -> AbstractContextManager[Any]:
    """Products in the types of their factors, also on the meta device, of which autocast knows nothing."""
    return torch.autocast(device_type, enabled=False) if _knows_autocast(device_type) else nullcontext()


@constant_when_compiled  # torch before 2.12 cannot look into it
def _knows_autocast(device_type: str) -> bool:
    return torch.amp.is_autocast_available(device_type)


# The order that products read -----------------------------------------------------------------------------------------


def pack(conductance: Tensor, valence: Valence, synaptic_sum: "SynapticSum") -> Tensor:
    """The conductances in the order that the products read: all that is the same for every p.

    Returns:
        ``(2 * out, ...)`` where one product gives E and I of all units, those of E first; else
        ``(out, fan-in, *kernel)``, sorted by valence. Conductances that learn stay as they are: a product that
        needs them stacked does so, and backward keeps no copy for the others.
    """
    if valence.is_default_pair:
        return conductance if conductance.ndim == 2 else torch.cat(conductance.chunk(2, 1))
    if valence.doubled_input or not valence.class_values:
        return torch.cat(_as_pairs(conductance, valence))
    conductance = valence.sort_fan_in(conductance)
    learns = conductance.requires_grad and torch.is_grad_enabled()
    if valence.class_values != (1.0, -1.0) or (learns and eager()):
        return conductance
    halves = synaptic_sum.takes_halves_as_groups(conductance, valence.class_sizes)
    return torch.cat(conductance.chunk(2, 1)) if halves else conductance


def pack_for_many(conductance: Tensor, valence: Valence, synaptic_sum: "SynapticSum", p: Tensor) -> Tensor:
    """As `pack`, for many products of the same conductances with open probabilities like these.

    Where products are small, every synapse of a linear layer becomes an excitatory and an inhibitory one, one of which
    is 0. So each product is a single operation, which takes less time than to choose and call two of half the size.
    """
    whole = conductance.ndim == 2 and p.device.type == "cpu" and eager() and synaptic_sum.is_plain(p, conductance)
    if whole and conductance.numel() * p.shape[:-1].numel() < SMALL:
        return torch.cat(_as_pairs(conductance, valence))
    return pack(conductance, valence, synaptic_sum)


def pack_signed(weight: Tensor) -> Tensor:
    """The positive parts of all weights, then the negative parts: ``(2 * out, fan-in, *kernel)``."""
    return torch.cat([weight.clamp(min=0), (-weight).clamp(min=0)])


def _as_pairs(conductance: Tensor, valence: Valence) -> tuple[Tensor, Tensor]:
    """Every synapse as an excitatory and an inhibitory one: two tensors (out, fan-in, *kernel)."""
    e = valence.per_synapse(conductance)
    excitatory, inhibitory = conductance * ((1 + e) / 2), conductance * ((1 - e) / 2)
    if not valence.doubled_input:
        return excitatory, inhibitory
    fan_in = conductance.shape[1] // 2  # both copies read the same input, so their conductances add
    return (
        excitatory[:, :fan_in] + excitatory[:, fan_in:],
        inhibitory[:, :fan_in] + inhibitory[:, fan_in:],
    )


# The products ---------------------------------------------------------------------------------------------------------


def open_conductances(
    p: Tensor, packed: Tensor, valence: Valence | None, leak: Tensor, synaptic_sum: "SynapticSum"
) -> Sums:
    """E' of all units, then I' of all units, along the channels, leak included; in half precision in parts.

    On a GPU they may be in parts, or pending, in any precision. `average` takes them all, `dense` makes them one.

    Args:
        p: open probabilities, (..., C) for a linear layer, ``(..., C, *positions)`` for a convolution.
        packed: conductances from `pack`, or signed weights from `pack_signed`.
        valence: what each presynaptic channel is; None for signed weights.
        leak: (2, out), see `functional.leak_pair`.
        synaptic_sum: linear, or a convolution with its options.

    Raises:
        InputError: p has more or fewer channels than there are valences.
    """
    scale = _float16_scale(p, packed, leak)
    if scale is None:
        return _sums(p, packed, valence, leak, synaptic_sum)
    stacked = scale.repeat(2) if _is_stacked(packed, leak) else scale
    packed = (packed.float() / stacked.view(-1, *(1,) * (packed.ndim - 1))).to(packed.dtype)
    leak = leak.float()
    leak = torch.where(leak.sum(0) == 0, SMALLEST_LEAK, leak) / scale  # what float16 rounds to 0 must not divide 0 by 0
    return scaled(_sums(p, packed, valence, leak, synaptic_sum), scale, channel_axis(packed))


def _float16_scale(p: Tensor, packed: Tensor, leak: Tensor) -> Tensor | None:
    """For each unit a power of two by which to divide its conductances, so that no sum leaves float16's range.

    An average depends on ratios alone, so E' and I' in other units give the same z. None outside float16.
    """
    if low_precision(p, packed) != torch.float16:
        return None
    total = packed.detach().float().abs().flatten(1).sum(1)
    if _is_stacked(packed, leak):
        total = total.view(2, -1).sum(0)
    return torch.exp2(torch.ceil(torch.log2(total / FLOAT16_ROOM)).clamp(min=0))


def _sums(p: Tensor, packed: Tensor, valence: Valence | None, leak: Tensor, synaptic_sum: "SynapticSum") -> Sums:
    axis = channel_axis(packed)
    channels = packed.shape[1] * synaptic_sum.options.get("groups", 1) if valence is None else valence.channels
    if p.ndim < -axis or p.shape[axis] != channels:
        raise InputError(
            f"p has the shape {tuple(p.shape)}; its axis {axis} must hold the {channels} presynaptic channels"
        )
    stacked = packed.ndim == 2 and _is_stacked(packed, leak)
    if valence is None or valence.doubled_input or not valence.class_values or stacked:
        return synaptic_sum.shared(p, packed, leak)
    p = valence.sort_channels(p, axis)
    if valence.class_values == (1.0, -1.0):
        return synaptic_sum.split(p, packed, leak, valence.class_sizes[0])
    return _by_class(p, packed, valence, leak, synaptic_sum)


def _by_class(p: Tensor, conductance: Tensor, valence: Valence, leak: Tensor, synaptic_sum: "SynapticSum") -> Tensor:
    """One product for each distinct valence, over its own channels alone."""
    axis = channel_axis(conductance)
    inputs = p.split([size * valence.groups for size in valence.class_sizes], axis)
    weights = conductance.split(list(valence.class_sizes), 1)
    sums = [synaptic_sum(x, G, None) for x, G in zip(inputs, weights, strict=True)]
    leak = leak.view(2, -1, *(1,) * (conductance.ndim - 2))
    E = sum((S * ((1 + e) / 2) for S, e in zip(sums, valence.class_values, strict=True)), start=leak[0])
    I = sum((S * ((1 - e) / 2) for S, e in zip(sums, valence.class_values, strict=True)), start=leak[1])
    return torch.cat([E, I], axis)


class SynapticSum:
    """The sum over synapses with torch's convolution ``options`` (stride, padding, dilation, groups); none: linear.

    Args:
        nearly_equal: the conductances of a unit differ little, so that float32 would lose the difference of E' and I'.
        options: of the convolution.
    """

    def __init__(self, *, nearly_equal: bool = False, **options: Any) -> None:
        self.options = options
        self.nearly_equal = nearly_equal

    def __call__(self, p: Tensor, conductance: Tensor, bias: Tensor | None) -> Tensor:
        """Product of open probabilities with conductances (out, fan-in, *kernel), plus the bias (out,)."""
        return dense(self._sum(p, conductance, bias, self.options), channel_axis(conductance))

    def takes_halves_as_groups(self, conductance: Tensor, sizes: Sequence[int]) -> bool:
        """Whether the two kinds are the two groups of one convolution: as many channels of each, no groups yet."""
        if conductance.ndim == 2 or self.options.get("groups", 1) > 1 or sizes[0] != sizes[1]:
            return False
        return not is_matrix(conductance, self.options)

    def split(self, p: Tensor, packed: Tensor, leak: Tensor, excitatory: int) -> Sums:
        """E' of all units, then I': the first ``excitatory`` channels (of each group) excite, the others inhibit."""
        later = self._pending(p, packed, leak, excitatory, self._split)
        return self._split(p, packed, leak, excitatory) if later is None else later

    def _pending(
        self, p: Tensor, packed: Tensor, leak: Tensor, excitatory: int, sums: Callable[..., Tensor | SplitSums]
    ) -> Sums | None:
        """The sums to be computed by whoever needs them, where a product can average by itself."""
        if not on_gpu(p):
            return self._pending_convolution(p, packed, leak, excitatory, partial(sums, p, packed, leak, excitatory))
        if _is_stacked(packed, leak) or self._cancels(p, packed):
            return None
        dtype = low_precision(p, packed)
        return pending(p, packed, leak, excitatory, self.options, dtype, partial(sums, p, packed, leak, excitatory))

    def _pending_convolution(
        self, p: Tensor, packed: Tensor, leak: Tensor, excitatory: int, sums: Callable[[], Any]
    ) -> Sums | None:
        if packed.ndim != 4 or self._cancels(p, packed):
            return None
        if (dtype := low_precision(p, packed)) is not None:
            if dtype != torch.bfloat16 or self.nearly_equal:
                return None
            p = p.to(dtype)
        elif p.dtype != packed.dtype:
            return None
        if _is_stacked(packed, leak):
            to_E, to_I = packed.chunk(2)
        else:
            to_E, to_I = packed.split([excitatory, packed.shape[1] - excitatory], 1)
        return pending_convolution(p, to_E, to_I, leak, self.options, sums)

    def _split(self, p: Tensor, packed: Tensor, leak: Tensor, excitatory: int) -> Tensor | SplitSums:
        if _is_stacked(packed, leak) or self.takes_halves_as_groups(packed, (excitatory, packed.shape[1] - excitatory)):
            return self._halves(p, packed, leak)
        if (sums := self._linear(p, packed, leak, excitatory)) is not None:
            return sums
        axis, groups = channel_axis(packed), self.options.get("groups", 1)
        to_E, to_I = packed.split([excitatory, packed.shape[1] - excitatory], 1)
        p_E, p_I = p.split([groups * excitatory, p.shape[axis] - groups * excitatory], axis)
        return self._one_after_the_other((p_E, to_E), (p_I, to_I), leak)

    def _halves(self, p: Tensor, packed: Tensor, leak: Tensor) -> Tensor | SplitSums:
        """As many channels of each kind: one product of matrices, two convolutions, or one in two groups."""
        to_E, to_I = packed.chunk(2, 0 if _is_stacked(packed, leak) else 1)
        if eager() and p.device.type == "cpu" and p.ndim == packed.ndim:
            if windows.covers(packed, p, **self.options):
                rows, matrix = windows.matrices(p, to_E, to_I, self.options["padding"])
                sums = SynapticSum(nearly_equal=self.nearly_equal)._split(rows, matrix, leak, rows.shape[1] // 2)
                return at_one_position(sums, p.ndim - 2)
            if self.is_plain(p, packed) and packed.numel() > p.numel():  # to sort the channels costs little then
                E, I = zip(windows.contiguous_halves(p), (to_E, to_I), strict=True)
                return self._one_after_the_other(E, I, leak)
        stacked = packed if _is_stacked(packed, leak) else torch.cat([to_E, to_I])
        return self._sum(p, stacked, leak.flatten(), {**self.options, "groups": 2})

    def shared(self, p: Tensor, packed: Tensor, leak: Tensor) -> Sums:
        """E' of all units, then I', each a sum over all of p, which is read once."""
        later = self._pending(p, packed, leak, packed.shape[1] // 2, self._shared)
        return self._shared(p, packed, leak, packed.shape[1] // 2) if later is None else later

    def _shared(self, p: Tensor, packed: Tensor, leak: Tensor, excitatory: int) -> Tensor | SplitSums:
        if not _is_stacked(packed, leak):
            if (sums := self._linear(p, packed, leak, excitatory)) is not None:
                return sums
            if packed.ndim == 2:
                return self._sum(p, packed, leak.flatten(), self.options, kinds=2)
            packed = torch.cat(packed.chunk(2, 1))
        if self.options.get("groups", 1) > 1:  # stacked on the output axis, the groups would mix
            to_E, to_I = packed.chunk(2)
            return self._one_after_the_other((p, to_E), (p, to_I), leak)
        return self._sum(p, packed, leak.flatten(), self.options)

    def _one_after_the_other(
        self, excitatory: tuple[Tensor, Tensor], inhibitory: tuple[Tensor, Tensor], leak: Tensor
    ) -> Tensor | SplitSums:
        E = self._sum(*excitatory, leak[0], self.options)
        I = self._sum(*inhibitory, leak[1], self.options)
        return joined(E, I, channel_axis(excitatory[1]))

    def _linear(self, p: Tensor, conductance: Tensor, leak: Tensor, excitatory: int) -> Tensor | None:
        """The sums of a linear layer where they come whole."""
        if conductance.ndim > 2:
            return None
        if self.is_plain(p, conductance):
            return paired_linear(p, conductance, leak, excitatory)
        in_bfloat16 = low_precision(p, conductance) == torch.bfloat16 and not self.nearly_equal
        if in_bfloat16 and p.ndim > 1 and eager() and rounded.serves(p, conductance):
            return paired_linear(p.bfloat16(), conductance, leak, excitatory, rounds=True)
        return None

    def is_plain(self, p: Tensor, conductance: Tensor) -> bool:
        """Whether the sums come whole from torch's own products."""
        return low_precision(p, conductance) is None and not self._cancels(p, conductance)

    def _cancels(self, p: Tensor, conductance: Tensor) -> bool:
        """Whether float32 would lose the difference of E' and I'; not on a device without float64."""
        return self.nearly_equal and p.dtype == conductance.dtype == torch.float32 and p.device.type != "mps"

    def _sum(
        self, p: Tensor, conductance: Tensor, bias: Tensor | None, options: dict[str, Any], kinds: int = 1
    ) -> Tensor | SplitSums:
        """The product, or two on the same input, of conductances side by side, where it comes in parts."""
        rounded = low_precision(p, conductance)
        if rounded is None and self._cancels(p, conductance):
            return _split_product(p, conductance, bias, options, kinds, torch.float32, torch.float64)
        if rounded is None:
            if conductance.ndim == 2:
                return product(p, conductance, bias)
            plain = _PLAIN[conductance.ndim]
            if bias is not None and averaging.kernel_name(p, -1) == "triton":
                return SplitSums(plain(p, conductance, None, **options), None, None, bias)  # a pass less
            if bias is not None and bias.requires_grad and eager() and p.device.type == "cpu":
                sums = plain(p, conductance, bias.detach(), **options)
                return _Leaking.apply(sums, bias, channel_axis(conductance)) if torch.is_grad_enabled() else sums
            return plain(p, conductance, bias, **options)
        return _split_product(p, conductance, bias, options, kinds, rounded, torch.float32)


class _Leaking(Function):
    """Sums that contain the leak. Its gradient, which convolutions on a CPU take long to find, is the sum of theirs."""

    @staticmethod
    def forward(ctx: Any, sums: Tensor, leak: Tensor, axis: int) -> Tensor:
        del leak
        ctx.axis = axis
        ctx.mark_dirty(sums)  # as if the leak were added here
        return sums

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        return grad, grad.sum([axis for axis in range(-grad.ndim, 0) if axis != ctx.axis]), None


def _is_stacked(packed: Tensor, leak: Tensor) -> bool:
    """Whether the conductances to E of all units lie above those to I, see `pack`."""
    return len(packed) > leak.shape[1]


def _split_product(
    p: Tensor,
    conductance: Tensor,
    bias: Tensor | None,
    options: dict[str, Any],
    kinds: int,
    of_rest: torch.dtype,
    of_shared: torch.dtype,
) -> SplitSums:
    plain, groups = _PLAIN[conductance.ndim], options.get("groups", 1)
    common, rest = common_and_rest(conductance, kinds, of_rest)
    axis = channel_axis(conductance)
    with without_autocast(p.device.type):
        p, shared = with_sums(p, groups, axis, of_shared)
        if conductance.ndim > 2:
            window = torch.ones(groups, 1, *conductance.shape[2:], device=p.device, dtype=of_shared)
            shared = plain(shared, window, None, **options)
    common = common.to(of_shared)
    leak = torch.zeros_like(common) if bias is None else bias
    return SplitSums(plain(p.to(of_rest), rest, None, **options), shared, common, leak)
