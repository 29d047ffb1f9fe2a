"""Products of which the factors are rounded to bfloat16 and the sums are float32, in C++.

torch also rounds the result of such a product. Then E' - I' keeps too few digits, and the sums have to be split
(`kernels.mixed`). float32 sums need no split. Conductances are read where they lie and rounded on their way into the
cache. Their gradient is written once, in float32, where the optimizer reads it.

The products take a processor with instructions for bfloat16 (AVX512-BF16). One that has units for whole matrices of it
(AMX) is faster with torch's own.
"""

import ctypes
from functools import cache

import torch
from torch import Tensor

from conductance.kernels import native
from conductance.kernels.onednn import cpu_info

_TYPES = {torch.float32: "float32", torch.bfloat16: "bfloat16"}


def serves(p: Tensor, conductance: Tensor) -> bool:
    """Whether the products take these, a matrix of float32 conductances and open probabilities of either type."""
    plain = native.is_plain(p) and native.is_plain(conductance)
    if not plain or p.dtype not in _TYPES or conductance.dtype != torch.float32 or not conductance.is_contiguous():
        return False
    return native.is_worth_it(conductance.numel()) and has_instructions() and native.library("rounded") is not None


@cache
def has_instructions() -> bool:
    """Whether the processor multiplies bfloat16, and has no units for whole matrices of it."""
    flags = cpu_info()
    return "avx512_bf16" in flags and "amx_bf16" not in flags and torch.backends.cpu.get_cpu_capability() == "AVX512"


def product(p: Tensor, conductance: Tensor, bias: Tensor, out: Tensor) -> None:
    """Fill out = p G^T + bias, (rows, units), in float32; p (rows, fan-in), G (units, fan-in), bias (units,)."""
    _forward(p, conductance, bias, out, False)


def _forward(p: Tensor, conductance: Tensor, bias: Tensor, out: Tensor, twice: bool) -> None:
    p, units = _rows(p), len(conductance)
    tensors = p, conductance, bias.to(torch.float32).contiguous(), out
    _run("forward", p.dtype, tensors, (p, conductance, out), (len(out), units, p.shape[1]), twice)


def both_from_difference(p: Tensor, conductance: Tensor, leak: Tensor, out: Tensor) -> None:
    """Fill E' and I' of units whose synapses of both kinds read all of p, from their difference without the leak.

    Their sum is that of rounded factors. It is not allowed to be smaller than the difference.

    Args:
        p: (rows, fan-in).
        conductance: G (units, 2 * fan-in), excitatory columns first.
        leak: (2, units).
        out: (rows, 2 * units); in its second half lies E' - I'.
    """
    _forward(p, conductance, leak.flatten(), out, True)


def conductance_gradient(grad: Tensor, p: Tensor, out: Tensor) -> None:
    """Fill out = grad^T p, (units, fan-in), in float32; grad (rows, units), float32."""
    _weights(grad, p, out, False)


def _weights(grad: Tensor, p: Tensor, out: Tensor, twice: bool) -> None:
    p, grad = _rows(p), _rows(grad)
    tensors = grad, p, out
    _run("weights", p.dtype, tensors, tensors, (len(grad), len(out), p.shape[1]), twice)


def both_gradients_from_difference(grad: Tensor, p: Tensor, out: Tensor) -> None:
    """Fill the gradient of G where both kinds read all of p; what comes by E' + I' is that of rounded factors.

    Args:
        grad: with respect to E' and I', (rows, 2 * units), float32.
        p: (rows, fan-in).
        out: (units, 2 * fan-in); in its first half lies the product of p and the difference of the halves of ``grad``.
    """
    _weights(grad, p, out, True)


def input_gradient(grad: Tensor, conductance: Tensor, out: Tensor) -> None:
    """Fill out = grad G, (rows, fan-in), of the type of p."""
    tensors = _rows(grad), conductance, out
    _run("inputs", out.dtype, tensors, tensors, (*grad.shape, conductance.shape[1]))


def _rows(matrix: Tensor) -> Tensor:
    """With the numbers of a row side by side."""
    return matrix if matrix.stride(1) == 1 else matrix.contiguous()


def _run(
    name: str,
    dtype: torch.dtype,
    tensors: tuple[Tensor, ...],
    matrices: tuple[Tensor, ...],
    sizes: tuple[int, int, int],
    *twice: bool,
) -> None:
    assert all(tensor.is_contiguous() or tensor.stride(-1) == 1 for tensor in tensors)
    library, threads = native.library("rounded"), torch.get_num_threads()
    lengths = [*map(ctypes.c_int64, sizes)]
    pairs = getattr(library, f"pairs_of_{name}")
    pairs.restype = ctypes.c_int64
    room = torch.empty(pairs(*lengths, threads), dtype=torch.int32, device="cpu")  # torch says where memory ends
    read = native.readable((*tensors, room))
    numbers = *(matrix.stride(0) for matrix in matrices), *twice
    getattr(library, f"{name}_{_TYPES[dtype]}")(
        *native.addresses(read), *map(ctypes.c_int64, numbers), *lengths, threads
    )
