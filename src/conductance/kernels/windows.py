"""Convolutions as something faster: matrix products where a kernel sees its whole input at once, and sorted channels.

Libraries convolve the padding too, and are slow at groups of large kernels (`docs/speed.md`), so that rearranging pays.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def channels_are_last(p: Tensor) -> bool:
    """Whether the channels of a position are neighbours in memory, on a CPU."""
    return p.ndim == 4 and p.device.type == "cpu" and p.is_contiguous(memory_format=torch.channels_last)


def covers(
    conductance: Tensor, p: Tensor, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> bool:
    """Whether there is a single position, at which the kernel sees all of ``p`` (N, C, *positions)."""
    if groups != 1 or not all(isinstance(option, tuple) for option in (stride, padding, dilation)):
        return False
    return all(
        gap == 1 and pad + length <= size <= length + 2 * pad < size + step
        for size, length, step, pad, gap in zip(
            conductance.shape[2:], p.shape[2:], stride, padding, dilation, strict=True
        )
    )


def matrices(p: Tensor, to_E: Tensor, to_I: Tensor, padding: Sequence[int]) -> tuple[Tensor, Tensor]:
    """What a linear layer reads and its conductances at the only position: (N, fan-in) and (units, fan-in).

    Args:
        p: open probabilities, (N, C, *positions), excitatory channels first.
        to_E: conductances of the excitatory channels, (units, C/2, *kernel).
        to_I: those of the inhibitory ones.
        padding: closed synapses before the first position of each axis.
    """
    seen: Any = (..., *(slice(first, first + size) for first, size in zip(padding, p.shape[2:], strict=True)))
    kernels = torch.stack([to_E[seen].movedim(1, -1), to_I[seen].movedim(1, -1)], 1)
    matrix = kernels.flatten(1)  # unit, kind, *positions, channel
    return p.movedim(1, -1).unflatten(-1, (2, -1)).movedim(-2, 1).flatten(1), matrix


def contiguous_halves(p: Tensor) -> tuple[Tensor, Tensor]:
    """The excitatory and the inhibitory channels, each in one piece, channels last where they were."""
    if not channels_are_last(p):
        E, I = p.unflatten(1, (2, -1)).transpose(0, 1).contiguous().unbind()
        return E, I
    E, I = p.permute(0, 2, 3, 1).unflatten(-1, (2, -1)).movedim(-2, 0).contiguous().unbind()
    return E.permute(0, 3, 1, 2), I.permute(0, 3, 1, 2)
