"""Convolutions that average: E' and I' stay in the processor's first cache, in C++.

A library writes E' and I' of all units, twice as much as an affine layer's sums, for the average to read again. It is
slow at convolutions in two groups besides. Here a tile of positions and units has its sums in the registers, E' first,
then I', and z or p is all that is written. The inputs are read where they lie.

For images with the channels last, on processors with AVX512: float32, and bfloat16 where the processor multiplies that.
The sums are float32 in any case, so that in bfloat16 nothing has to be split.
"""

import ctypes
import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from conductance.eager import eager
from conductance.kernels import averaging, native, rounded, windows
from conductance.kernels.convolution_gradient import OPTIONS, average_with_gradient, sums_without_memory

TILE = 32  # units

# With fewer units half of the tile is empty, and the library is as fast.
LEAST_UNITS = 17

# Of each kind, in bfloat16. With fewer, finding a tile's inputs takes longer than multiplying them.
LEAST_CHANNELS = 8

_TYPES = {torch.float32: "float32", torch.bfloat16: "bfloat16"}


class PendingConvolution(NamedTuple):
    """E' of all units, then I', of a convolution that has not been computed."""

    p: Tensor  # (N, C, H, W), channels last, float32 or bfloat16
    excitatory: Tensor  # (units, channels, height, width) of the kernel; the first channels excite
    inhibitory: Tensor  # the last ones inhibit; the same ones where both kinds read all
    leak: Tensor  # (2, units)
    options: dict[str, Any]  # of the convolution
    sums: Callable[[], Any]  # computes them

    @property
    def shape(self) -> tuple[int, ...]:
        """That of z."""
        options = (self.options[name] for name in OPTIONS)
        per_axis = zip(self.p.shape[2:], self.excitatory.shape[2:], *options, strict=True)
        positions = [_positions(*axis) for axis in per_axis]
        return len(self.p), len(self.excitatory), *positions

    @property
    def learns(self) -> bool:
        """Whether autograd asks for gradients of anything in it."""
        return torch.is_grad_enabled() and any(each.requires_grad for each in self[:4])

    def joins(self, shortcut: Tensor) -> bool:
        """Whether a residual block's shortcut can be taken into the pass."""
        return native.is_plain(shortcut) and shortcut.dtype == self.p.dtype and shortcut.shape == self.shape


def _positions(size: int, taps: int, stride: int, padding: int, dilation: int) -> int:
    """Along one axis."""
    return (size + 2 * padding - dilation * (taps - 1) - 1) // stride + 1


def pending_convolution(
    p: Tensor, excitatory: Tensor, inhibitory: Tensor, leak: Tensor, options: dict[str, Any], sums: Callable[[], Any]
) -> PendingConvolution | None:
    """The sums to be computed by whoever needs them, where a convolution can average at once; else None.

    Args:
        p: open probabilities.
        excitatory: conductances of the excitatory channels, which come first, (units, channels, *kernel).
        inhibitory: those of the inhibitory channels, which come last.
        leak: (2, units).
        options: those of the convolution.
        sums: computes them in another way.
    """
    if not eager():
        return None
    tensors = p, excitatory, inhibitory, leak
    if not all(native.is_plain(each) for each in tensors) or p.dtype not in _TYPES:
        return None
    plain = all(each.dtype == torch.float32 for each in tensors[1:])
    if not (plain and p.numel() and windows.channels_are_last(p) and options.get("groups", 1) == 1):
        return None
    if len(excitatory) < LEAST_UNITS or (p.dtype == torch.bfloat16 and not _in_pairs(p, excitatory, inhibitory)):
        return None
    if not all(isinstance(options.get(name), tuple) for name in OPTIONS) or not _fit(p, excitatory, inhibitory, leak):
        return None
    if windows.covers(excitatory, p, **options):
        return None
    pending = PendingConvolution(p, excitatory, inhibitory, leak, options, sums)
    if min(pending.shape) < 1 or not averaging.is_native(2 * math.prod(pending.shape)):
        return None
    vectors = torch.backends.cpu.get_cpu_capability() == "AVX512"
    return pending if vectors and native.library("convolution") is not None else None


def _in_pairs(p: Tensor, excitatory: Tensor, inhibitory: Tensor) -> bool:
    """Whether the processor multiplies two channels of bfloat16 at once, and those of each kind are even in number."""
    channels = p.shape[1], excitatory.shape[1], inhibitory.shape[1]
    even = all(number % 2 == 0 for number in channels)
    return even and min(channels) >= LEAST_CHANNELS and rounded.has_instructions()


def _fit(p: Tensor, excitatory: Tensor, inhibitory: Tensor, leak: Tensor) -> bool:
    """Whether the sizes match. Where they do not, torch's own convolution raises the error."""
    channels, (units, first), last = p.shape[1], excitatory.shape[:2], inhibitory.shape[1]
    return (
        leak.shape == (2, units)
        and len(inhibitory) == units
        and (first + last == channels or first == last == channels)
    )


def average_convolution(pending: PendingConvolution, rectify: bool, shortcut: Tensor | None = None) -> Tensor:
    """Z, or p = max(z, 0), or, with a residual block's shortcut, the p of their mean.

    Args:
        pending: as `pending_convolution` gave it.
        rectify: p instead of z.
        shortcut: of the shape of z.
    """
    rectify = rectify or shortcut is not None
    if pending.learns or (torch.is_grad_enabled() and shortcut is not None and shortcut.requires_grad):
        forward = partial(_forward, pending, shortcut, rectify, keep=True)
        return average_with_gradient(sums_with_gradient(pending), shortcut, rectify, forward)
    return _forward(pending, shortcut, rectify)[0]


def sums_with_gradient(pending: PendingConvolution) -> Tensor:
    """E' and I' as autograd is to see them, without memory of their own."""
    return sums_without_memory(pending[:4], pending.shape, pending.options)


def potential_and_total(pending: PendingConvolution) -> tuple[Tensor, Tensor]:
    """Z and D, of which autograd sees nothing."""
    return _forward(pending, None, False, keep=True)


def _forward(
    pending: PendingConvolution, shortcut: Tensor | None, rectify: bool, keep: bool = False
) -> tuple[Tensor, Tensor]:
    """Z or p; and D if ``keep``, for backward, else an empty tensor."""
    p, excitatory, inhibitory, leak, options, _ = pending
    last = torch.channels_last
    z = torch.empty(pending.shape, dtype=p.dtype, device=p.device, memory_format=last)
    total = torch.empty_like(z) if keep else z.new_empty(0)
    (down, right), (padding_y, padding_x), (gap_y, gap_x) = (options[name] for name in OPTIONS)
    if excitatory.shape[1] == p.shape[1] and padding_x:  # neighbouring taps are read as one where none is padding
        p, padding_x = F.pad(p, (padding_x, padding_x)).contiguous(memory_format=last), 0
    images, channels, height, width = p.shape
    numbers = excitatory.shape[1], inhibitory.shape[1]
    sizes = (
        *(images, height, width, channels, *z.shape[2:], len(excitatory)),
        *(*excitatory.shape[2:], down, right, padding_y, padding_x, gap_y, gap_x),
        *(0, channels - numbers[1], *numbers, *excitatory.stride()),
    )
    joined = None if shortcut is None else shortcut.contiguous(memory_format=last)
    synapses = sum(each[0].numel() for each in (excitatory, inhibitory))
    room = p.new_empty(-(-len(excitatory) // TILE) * TILE * synapses)  # for conductances in another order
    tensors = p, excitatory, inhibitory, leak.contiguous(), room, joined, z, total
    run = getattr(native.library("convolution"), f"averaged_convolution_{_TYPES[p.dtype]}")
    run(*native.addresses(tensors), (ctypes.c_int64 * len(sizes))(*sizes), int(rectify), torch.get_num_threads())
    return z, total
