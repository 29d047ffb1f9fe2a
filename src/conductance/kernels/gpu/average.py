r"""The average and its gradient, one pass over memory each.

All kernels see E' and I' as (batch, channels, positions). What comes in channels last (linear layers too) is one batch
of which every row is a position, so that neighbours in a tile are neighbours in memory either way.

Sums may come in parts (`kernels.mixed`): ``rest + shared * common + leak``, of which any but the rest may be left out.
Forward reads two tensors and writes two, z and D = E' + I'; backward reads three and writes two.
"""

from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

# Elements of a tile: a few loads of 16 bytes for each of 128 threads.
TILE = 2048
WIDEST_CHANNELS = 128


@triton.jit
def _average_kernel(
    rest, shared, common, leak, z, total,
    channels, positions, blocks, to_I_of_rest,
    rest_b, rest_c, rest_p, shared_b, shared_k, shared_p, out_b, out_c, out_p,
    RECTIFY: tl.constexpr, HAS_SHARED: tl.constexpr, HAS_LEAK: tl.constexpr, KEEPS_TOTAL: tl.constexpr,
    SUM: tl.constexpr, TILE_P: tl.constexpr, TILE_C: tl.constexpr,
):  # fmt: skip
    b = (tl.program_id(0) // blocks).to(tl.int64)
    p = (tl.program_id(0) % blocks) * TILE_P + tl.arange(0, TILE_P).to(tl.int64)
    c = tl.program_id(1) * TILE_C + tl.arange(0, TILE_C).to(tl.int64)
    known_p, known_c = p < positions, c < channels
    inside = known_p[:, None] & known_c[None, :]
    at = b * rest_b + p[:, None] * rest_p + c[None, :] * rest_c
    E = tl.load(rest + at, inside, other=1.0).to(SUM)
    I = tl.load(rest + at + to_I_of_rest, inside, other=1.0).to(SUM)
    if HAS_SHARED:
        near = b * shared_b + p * shared_p
        E += tl.load(shared + near, known_p, other=0.0)[:, None] * tl.load(common + c, known_c, other=0.0)[None, :]
        own = tl.load(common + channels + c, known_c, other=0.0)
        I += tl.load(shared + near + shared_k, known_p, other=0.0)[:, None] * own[None, :]
        E, I = tl.where(E < 0, 0.0, E), tl.where(I < 0, 0.0, I)  # rounded; NaN stays
    if HAS_LEAK:
        E += tl.load(leak + c, known_c, other=0.0).to(SUM)[None, :]
        I += tl.load(leak + channels + c, known_c, other=0.0).to(SUM)[None, :]
    D = E + I
    v = (E - I) / D
    if RECTIFY:
        v = tl.where(v < 0, 0.0, v)  # NaN stays
    out = b * out_b + p[:, None] * out_p + c[None, :] * out_c
    tl.store(z + out, v.to(z.dtype.element_ty), inside)
    if KEEPS_TOTAL:
        tl.store(total + out, D.to(total.dtype.element_ty), inside)


@triton.jit
def _gradient_kernel(
    grad, z, total, common, to_rest, to_shared,
    channels, positions, blocks, to_I_of_rest,
    in_b, in_c, in_p, out_b, out_c, out_p, shared_n, shared_b, shared_k, shared_p,
    RECTIFY: tl.constexpr, SHARED: tl.constexpr,
    SUM: tl.constexpr, TILE_P: tl.constexpr, TILE_C: tl.constexpr,
):  # fmt: skip
    b = (tl.program_id(0) // blocks).to(tl.int64)
    p = (tl.program_id(0) % blocks) * TILE_P + tl.arange(0, TILE_P).to(tl.int64)
    c = tl.program_id(1) * TILE_C + tl.arange(0, TILE_C).to(tl.int64)
    known_p, known_c = p < positions, c < channels
    inside = known_p[:, None] & known_c[None, :]
    at = b * in_b + p[:, None] * in_p + c[None, :] * in_c
    v = tl.load(z + at, inside, other=0.0).to(SUM)
    slope = tl.load(grad + at, inside, other=0.0).to(SUM) / tl.load(total + at, inside, other=1.0).to(SUM)
    if RECTIFY:
        slope = tl.where(v > 0, slope, 0.0)
    to_E = slope * (1 - v)
    to_I = -slope * (1 + v)
    out = b * out_b + p[:, None] * out_p + c[None, :] * out_c
    tl.store(to_rest + out, to_E.to(to_rest.dtype.element_ty), inside)
    tl.store(to_rest + out + to_I_of_rest, to_I.to(to_rest.dtype.element_ty), inside)
    if SHARED > 0:
        by_E = tl.sum(to_E * tl.load(common + c, known_c, other=0.0)[None, :], 1)
        by_I = tl.sum(to_I * tl.load(common + channels + c, known_c, other=0.0)[None, :], 1)
        near = tl.program_id(1).to(tl.int64) * shared_n + b * shared_b + p * shared_p
        if SHARED == 2:
            tl.store(to_shared + near, by_E, known_p)
            tl.store(to_shared + near + shared_k, by_I, known_p)
        else:
            tl.store(to_shared + near, by_E + by_I, known_p)


# How tensors are seen -------------------------------------------------------------------------------------------------


class _Seen(NamedTuple):
    """How all tensors of one call are seen: channels last as rows, or channels before positions."""

    axis: int
    channels_last: bool

    def planes(self, tensor: Tensor) -> Tensor:
        """(batch, channels, positions) of a tensor, a view where it is laid out this way already."""
        if self.channels_last:
            rows = tensor.movedim(self.axis, -1).contiguous()
            return rows.view(-1, rows.shape[-1]).mT[None]
        tensor = tensor.contiguous()
        positions = tensor.shape[tensor.ndim + self.axis + 1 :].numel()
        return tensor.view(-1, tensor.shape[self.axis], positions)

    def empty(self, like: Tensor, channels: int, dtype: torch.dtype) -> Tensor:
        """Room for a tensor of so many channels."""
        shape = list(like.movedim(self.axis, -1).shape if self.channels_last else like.shape)
        shape[-1 if self.channels_last else self.axis] = channels
        room = torch.empty(shape, dtype=dtype, device=like.device)
        return room.movedim(-1, self.axis) if self.channels_last else room


def _seen(tensor: Tensor, axis: int) -> _Seen:
    return _Seen(axis, tensor.movedim(axis, -1).is_contiguous())


def _tile(channels: int, positions: int, channels_last: bool) -> tuple[int, int]:
    """(positions, channels) of a tile, wide where memory is contiguous."""
    if channels_last:
        wide = min(WIDEST_CHANNELS, triton.next_power_of_2(channels))
        return max(1, min(TILE // wide, triton.next_power_of_2(positions))), wide
    wide = min(TILE, triton.next_power_of_2(positions))
    return wide, max(1, min(TILE // wide, triton.next_power_of_2(channels)))


def _type_of_sums(*tensors: Tensor | None) -> Any:
    wide = any(tensor is not None and tensor.dtype == torch.float64 for tensor in tensors)
    return tl.float64 if wide else tl.float32


# Launches -------------------------------------------------------------------------------------------------------------


def average_parts(
    rest: Tensor,
    shared: Tensor | None,
    common: Tensor | None,
    leak: Tensor | None,
    axis: int,
    rectify: bool,
    dtype: torch.dtype,
    total_dtype: torch.dtype | None,
) -> tuple[Tensor, Tensor | None]:
    """z or p, and D where it has a type; arguments as in `kernels.mixed.SplitSums`."""
    seen = _seen(rest, axis)
    channels = rest.shape[axis] // 2
    z = seen.empty(rest, channels, dtype)
    total = None if total_dtype is None else seen.empty(rest, channels, total_dtype)
    if z.numel() == 0:
        return z, total
    both, out = seen.planes(rest), seen.planes(z)
    near = both if shared is None else seen.planes(shared)
    batch, _, positions = both.shape
    tile_p, tile_c = _tile(channels, positions, seen.channels_last)
    blocks = triton.cdiv(positions, tile_p)
    with _on(rest):
        _average_kernel[batch * blocks, triton.cdiv(channels, tile_c)](
            both, near, _given(common, rest), _given(leak, rest), z, z if total is None else total,
            channels, positions, blocks, channels * both.stride(1),
            *both.stride(), near.stride(0), 0 if near.shape[1] == 1 else near.stride(1), near.stride(2), *out.stride(),
            RECTIFY=rectify, HAS_SHARED=shared is not None, HAS_LEAK=leak is not None, KEEPS_TOTAL=total is not None,
            SUM=_type_of_sums(rest, shared), TILE_P=tile_p, TILE_C=tile_c,
        )  # fmt: skip
    return z, total


def gradient_of_parts(
    grad: Tensor,
    z: Tensor,
    total: Tensor,
    common: Tensor | None,
    shared: int,
    axis: int,
    rectify: bool,
    dtype: torch.dtype,
) -> tuple[Tensor, Tensor | None]:
    """The gradient with respect to ``rest``, and to so many channels of ``shared``: 2, 1, or 0 for none."""
    seen = _seen(z, axis)
    channels = z.shape[axis]
    to_rest = seen.empty(z, 2 * channels, dtype)
    to_shared = None if common is None or shared == 0 else seen.empty(z, shared, common.dtype)
    if z.numel() == 0:
        return to_rest, None if to_shared is None else to_shared.zero_()
    values, out = seen.planes(z), seen.planes(to_rest)
    batch, _, positions = values.shape
    tile_p, tile_c = _tile(channels, positions, seen.channels_last)
    blocks, pieces = triton.cdiv(positions, tile_p), triton.cdiv(channels, tile_c)
    # one sum for each tile of channels, added up afterwards: few numbers, and always in the same order
    sums = values[None]
    if to_shared is not None:
        sums = torch.empty(pieces, batch, shared, positions, dtype=to_shared.dtype, device=z.device)
    with _on(z):
        _gradient_kernel[batch * blocks, pieces](
            seen.planes(grad), values, seen.planes(total), _given(common, z), to_rest, sums,
            channels, positions, blocks, channels * out.stride(1),
            *values.stride(), *out.stride(), *sums.stride(),
            RECTIFY=rectify, SHARED=0 if to_shared is None else shared, SUM=_type_of_sums(z, common),
            TILE_P=tile_p, TILE_C=tile_c,
        )  # fmt: skip
    if to_shared is not None:
        seen.planes(to_shared).copy_(sums.sum(0))
    return to_rest, to_shared


def _given(tensor: Tensor | None, otherwise: Tensor) -> Tensor:
    """A kernel takes no None; what it does not have, it does not look at."""
    return otherwise if tensor is None else tensor.contiguous()


def _on(tensor: Tensor) -> Any:
    """Triton launches on the current device, which need not be the tensor's."""
    return torch.cuda.device_of(tensor)


# What `kernels.averaging` asks for ------------------------------------------------------------------------------------


def forward(
    conductances: Tensor, axis: int, rectify: bool, dtype: torch.dtype, total_dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """(z or p, D) of whole sums."""
    z, total = average_parts(conductances, None, None, None, axis, rectify, dtype, total_dtype)
    assert total is not None
    return z, total


def alone(conductances: Tensor, axis: int, rectify: bool, dtype: torch.dtype) -> Tensor:
    """Z or p of whole sums."""
    return average_parts(conductances, None, None, None, axis, rectify, dtype, None)[0]


def gradient(grad: Tensor, z: Tensor, total: Tensor, axis: int, rectify: bool, dtype: torch.dtype) -> Tensor:
    """The gradient with respect to whole sums."""
    return gradient_of_parts(grad, z, total, None, 0, axis, rectify, dtype)[0]
