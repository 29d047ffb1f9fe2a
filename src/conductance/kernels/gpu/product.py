r"""A product of open probabilities with conductances whose last step is the average.

E' and I' of a tile of units stay in registers, in two float32 accumulators, until they are z and D; what goes through
memory is p, G, z and D. Tensor cores round their factors, so of each unit's conductances of one kind they get what is
left without what is common to them (`kernels.splitting`), which multiplies the sum of p instead: that keeps what nearly
equal conductances differ by, and nothing of it is written out.
"""

from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor


class Tile(NamedTuple):
    """Rows and units that one program computes, and how many synapses it reads at a time; 16 or more each."""

    rows: int
    units: int
    synapses: int


LARGE, SMALL = Tile(128, 64, 32), Tile(64, 32, 32)
PROGRAMS_OF_LARGE_TILES = 128  # with fewer of them most of a GPU would have nothing to do
ROWS_TOGETHER = 8  # tiles that share rows of G in the second-level cache


@triton.jit
def _sum_kernel(
    x, x_row, g, common, leak, i, j, M, N, K, g_row, g_column,
    PRECISION: tl.constexpr, FACTOR: tl.constexpr, TILE_M: tl.constexpr, TILE_N: tl.constexpr, TILE_K: tl.constexpr,
):  # fmt: skip
    """The leak plus the sum over K synapses: x (M, K) times g (N, K)."""
    k = tl.arange(0, TILE_K)
    rows, units = i < M, j < N
    shared = tl.load(common + j, units, other=0.0)
    S = tl.zeros((TILE_M, TILE_N), tl.float32)
    opened = tl.zeros((TILE_M,), tl.float32)
    for start in range(0, K, TILE_K):
        known = start + k < K
        X = tl.load(x + i[:, None] * x_row + (start + k)[None, :], rows[:, None] & known[None, :], other=0.0)
        G = tl.load(
            g + j[None, :] * g_row + (start + k)[:, None] * g_column, units[None, :] & known[:, None], other=0.0
        )
        rest = tl.where(known[:, None], G.to(tl.float32) - shared[None, :], 0.0)
        S = tl.dot(X.to(FACTOR), rest.to(X.dtype).to(FACTOR), S, input_precision=PRECISION)
        opened += tl.sum(X.to(tl.float32), 1)
    S += opened[:, None] * shared[None, :]
    S = tl.where(S < 0, 0.0, S)  # rounded; NaN stays
    return S + tl.load(leak + j, units, other=1.0).to(tl.float32)[None, :]


@triton.jit
def _product_kernel(
    x, g, common, leak, z, total,
    M, N, excitatory, inhibitory, x_row, x_inhibitory, g_row, g_column,
    RECTIFY: tl.constexpr, PRECISION: tl.constexpr, FACTOR: tl.constexpr, TOGETHER: tl.constexpr,
    TILE_M: tl.constexpr, TILE_N: tl.constexpr, TILE_K: tl.constexpr,
):  # fmt: skip
    # programs that follow each other read the same few rows of x and of G
    down, across = tl.cdiv(M, TILE_M), tl.cdiv(N, TILE_N)
    group = tl.program_id(0) // (TOGETHER * across)
    height = tl.minimum(down - group * TOGETHER, TOGETHER)
    within = tl.program_id(0) % (TOGETHER * across)
    i = (group * TOGETHER + within % height) * TILE_M + tl.arange(0, TILE_M).to(tl.int64)
    j = (within // height) * TILE_N + tl.arange(0, TILE_N).to(tl.int64)
    E = _sum_kernel(
        x, x_row, g, common, leak, i, j, M, N, excitatory, g_row, g_column,
        PRECISION, FACTOR, TILE_M, TILE_N, TILE_K,
    )  # fmt: skip
    I = _sum_kernel(
        x + x_inhibitory, x_row, g + excitatory * g_column, common + N, leak + N, i, j, M, N, inhibitory,
        g_row, g_column, PRECISION, FACTOR, TILE_M, TILE_N, TILE_K,
    )  # fmt: skip
    D = E + I
    v = (E - I) / D
    if RECTIFY:
        v = tl.where(v < 0, 0.0, v)  # NaN stays
    out = i[:, None] * N + j[None, :]
    inside = (i < M)[:, None] & (j < N)[None, :]
    tl.store(z + out, v.to(z.dtype.element_ty), inside)
    tl.store(total + out, D.to(total.dtype.element_ty), inside)


def _type_of_factors(dtype: torch.dtype) -> Any:
    """That of p; but Triton's interpreter takes the bits of bfloat16 for whole numbers, so there they are widened."""
    interpreted = not isinstance(_product_kernel, triton.JITFunction)
    return tl.bfloat16 if dtype == torch.bfloat16 and not interpreted else tl.float32


def tile_for(rows: int, units: int) -> Tile:
    """The larger one where there is enough to do."""
    large = triton.cdiv(rows, LARGE.rows) * triton.cdiv(units, LARGE.units)
    return LARGE if large >= PROGRAMS_OF_LARGE_TILES else SMALL


def averaged_product(
    p: Tensor, conductance: Tensor, common: Tensor, leak: Tensor, excitatory: int, rectify: bool, tf32: bool
) -> tuple[Tensor, Tensor]:
    """(z or p, D) of a linear layer.

    Args:
        p: (rows, fan-in), excitatory channels first; or (rows, fan-in / 2), read by both kinds of synapses.
        conductance: (units, fan-in), excitatory columns first.
        common: (2, units): to each unit's excitatory and to its inhibitory conductances.
        leak: (2, units).
        excitatory: how many columns are excitatory.
        rectify: p instead of z.
        tf32: round float32 factors as tensor cores do.
    """
    (rows, channels), (units, fan_in) = p.shape, conductance.shape
    z, total = (torch.empty(rows, units, dtype=p.dtype, device=p.device) for _ in range(2))
    if z.numel() == 0:
        return z, total
    p = p if p.stride(1) == 1 else p.contiguous()
    leak = leak.contiguous()
    tile = tile_for(rows, units)
    programs = triton.cdiv(rows, tile.rows) * triton.cdiv(units, tile.units)
    with torch.cuda.device_of(p):
        _product_kernel[programs,](
            p, conductance, common.contiguous(), leak, z, total,
            rows, units, excitatory, fan_in - excitatory,
            p.stride(0), excitatory if channels == fan_in else 0, *conductance.stride(),
            RECTIFY=rectify, PRECISION="tf32" if tf32 else "ieee", FACTOR=_type_of_factors(p.dtype),
            TOGETHER=ROWS_TOGETHER, TILE_M=tile.rows, TILE_N=tile.units, TILE_K=tile.synapses,
            num_warps=8 if tile == LARGE else 4, num_stages=3,
        )  # fmt: skip
    return z, total
