"""The average as compiled C++: one pass each way, several threads, built by the machine's own compiler when it pays.

No source includes anything of torch. Each takes a second to build, fits every version of torch, and needs a C++
compiler with OpenMP but no build system. Each library lies in a folder that the user alone can write, under a name
that changes with its source, the compiler and the processor's instructions. Processes that build at the same
time each write a file of their own and move it into place, so none reads a part.
"""

import ctypes
import functools
import hashlib
import math
import os
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from conductance.errors import InputError

TYPES = {torch.float32: "float32", torch.float64: "float64", torch.bfloat16: "bfloat16"}
POOLED = {torch.float32: "float", torch.float64: "double"}  # for z less its mean is a difference

# Tensors of fewer numbers go another way, so that small scripts never wait for a build. Nothing else decides, for a run
# that is resumed has to add up its numbers as it did before.
LEAST = 2**16

# Below this many numbers for each, threads cost more than they save.
PER_THREAD = 2**15

_INSTRUCTIONS = {"AVX512": ["-march=x86-64-v4"], "AVX2": ["-march=x86-64-v3"]}
_FLAGS = ["-O3", "-std=c++17", "-fPIC", "-fopenmp", "-fno-math-errno", "-fno-trapping-math", "-w"]
_FLAGS_OF = {"rounded": ["-mavx512bf16"]}


@functools.cache
def library(name: str = "average") -> ctypes.CDLL | None:
    """The compiled passes, built now unless an earlier process has; None, with one warning, where that fails.

    Args:
        name: of the source, beside this file.
    """
    try:
        return ctypes.CDLL(str(build(name)))
    except (OSError, subprocess.SubprocessError) as error:
        reason = getattr(error, "stderr", None) or str(error)
        warnings.warn(
            f"{name}.cpp could not be compiled ({reason.strip().splitlines()[0]}); going on without. With a C++ "
            "compiler such as g++ each layer is some percent faster; CONDUCTANCE_NATIVE=0 says that it is not wanted",
            stacklevel=2,
        )
        return None


def build(name: str = "average") -> Path:
    """The library's file, compiled unless it is there.

    Args:
        name: of the source.

    Raises:
        OSError: there is no compiler, or no folder to write to.
        subprocess.SubprocessError: the compiler fails.
    """
    compiler = shutil.which(os.environ.get("CXX", "g++")) or shutil.which("clang++")
    if compiler is None:
        raise OSError("no C++ compiler found")
    flags = [*_FLAGS, *_INSTRUCTIONS.get(torch.backends.cpu.get_cpu_capability(), []), *_FLAGS_OF.get(name, [])]
    source = Path(__file__).with_name(f"{name}.cpp")
    named = repr((source.read_text(), compiler, os.stat(compiler).st_mtime, flags))
    target = _folder() / f"{name}-{hashlib.sha256(named.encode()).hexdigest()[:20]}.so"
    if not target.exists():
        with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
            compiled, linked = Path(scratch, "compiled.o"), Path(scratch, "linked.so")
            # linked without OpenMP's own library: torch has loaded one, and two would fight over the cores
            for command in (
                [*flags, "-c", str(source), "-o", str(compiled)],
                ["-shared", str(compiled), "-o", str(linked)],
            ):
                subprocess.run([compiler, *command], check=True, capture_output=True, text=True, timeout=120)
            os.replace(linked, target)
    return target


def _folder() -> Path:
    """Where libraries lie that the user alone can write: the cache folder that is named, or one for temporary files.

    Raises:
        OSError: the folder belongs to somebody else, or others may write to it.
    """
    cache = os.environ.get("XDG_CACHE_HOME")
    user = os.getuid() if hasattr(os, "getuid") else "user"
    folder = Path(cache, "conductance") if cache else Path(tempfile.gettempdir(), f"conductance-{user}")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    found = folder.lstat()
    if hasattr(os, "getuid") and (found.st_uid != user or found.st_mode & 0o022 or folder.is_symlink()):
        raise OSError(f"{folder}: others can write there, so that code is not loaded from it")
    return folder


def is_worth_it(numbers: int) -> bool:
    """Whether a tensor of so many numbers is averaged this way, where it can be and is not unwanted."""
    return numbers >= LEAST and os.environ.get("CONDUCTANCE_NATIVE", "1") != "0"


def is_plain(tensor: Tensor) -> bool:
    """Whether C++ can read the numbers of a tensor: an ordinary one on a CPU, with the signs that lie in memory."""
    return type(tensor) in (Tensor, Parameter) and tensor.device.type == "cpu" and not tensor.is_neg()


def takes(both: Tensor, axis: int) -> bool:
    """Whether the passes read this tensor as it lies in memory: a plain one of a known type."""
    return both.dtype in TYPES and is_plain(both) and both.numel() > 0 and _rows(both, axis) is not None


def forward(
    rest: Tensor,
    shared: Tensor | None,
    common: Tensor | None,
    leak: Tensor | None,
    z: Tensor,
    total: Tensor | None,
    axis: int,
    rectify: bool,
    shortcut: Tensor | None = None,
) -> None:
    """Fill z, or p, and D where there is a tensor for it.

    Args:
        rest: E' of all units, then I'; whole, or the first of the parts in `mixed.SplitSums`.
        shared: the second part, None where there is one.
        common: likewise.
        leak: likewise.
        z: of the layout of the rest, half as wide; of its type, or bfloat16 where float32 comes whole.
        total: likewise.
        axis: of the channels, counted from the end.
        rectify: p instead of z.
        shortcut: of a residual block, in the layout of z: p is that of its mean with z then.
    """
    if shared is not None and common is not None and leak is not None:
        shared = shared.contiguous(memory_format=layout(rest))
        common, leak = common.to(shared.dtype).contiguous(), leak.to(shared.dtype).contiguous()
    name, width = _name(rest, shared, z), 0 if shared is None else shared.shape[axis]
    _call(f"forward_{name}", (rest, shared, common, leak, shortcut, z, total), rest, axis, width, rectify)


def backward(
    grad: Tensor,
    z: Tensor,
    total: Tensor,
    common: Tensor | None,
    to_rest: Tensor,
    axis: int,
    rectify: bool,
    width: int,
    shortcut: Tensor | None = None,
    to_shortcut: Tensor | None = None,
) -> Tensor | None:
    """Fill the gradient with respect to the rest, or to E' and I'; the result is that of the shared sum, if any.

    Args:
        grad: with respect to z or p; this and what is read besides may lie in any layout.
        z: as `forward` gave it.
        total: likewise.
        common: as it was in the parts.
        to_rest: twice as wide as z, of the type that the rest had, in an order that `takes` accepts.
        axis: of the channels, counted from the end.
        rectify: whether ``z`` is p.
        width: channels of the shared sum, 0 for none.
        shortcut: as `forward` was given it.
        to_shortcut: its gradient, likewise filled; in the order of ``to_rest``.
    """
    to_shared = None
    if common is not None:
        common = common.contiguous()
        shape = list(z.shape)
        shape[axis] = width
        to_shared = torch.empty(shape, dtype=common.dtype, device="cpu", memory_format=layout(to_rest))
    grad, z, total, shortcut = _in_order_of(to_rest, grad.to(z.dtype), z, total, shortcut)
    tensors = grad, z, total, common, shortcut, to_rest, to_shortcut, to_shared
    _call(f"backward_{_name(to_rest, to_shared, z)}", tensors, to_rest, axis, width, rectify)
    return to_shared


def pool(z: Tensor, mean: Tensor, result: Tensor, axis: int, rectify: bool) -> None:
    """Fill the mean of z over the units, and what the pooled interneuron leaves.

    Args:
        z: in any order that `takes` accepts.
        mean: of the same positions, one channel wide.
        result: z' or p, of the layout of z; may be z.
        axis: of the channels, counted from the end.
        rectify: p instead of z'.
    """
    order = _rows(z, axis)
    assert order is not None
    _run(f"pool_{POOLED[z.dtype]}", (z, mean, result), order, 0, rectify)


def pooled_forward(
    both: Tensor, z: Tensor, total: Tensor | None, mean: Tensor, result: Tensor, axis: int, rectify: bool
) -> None:
    """Fill z, D where there is a tensor for it, the mean of z over the units, and what the pooled interneuron leaves.

    Args:
        both: E' of all units, then I'.
        z: of its layout, half as wide; may be ``result``.
        total: likewise.
        mean: of the same positions, one channel wide.
        result: z' or p, of the layout of z.
        axis: of the channels, counted from the end.
        rectify: p instead of z'.
    """
    _call(f"pooled_forward_{POOLED[both.dtype]}", (both, z, total, mean, result), both, axis, 0, rectify)


def pooled_backward(
    grad: Tensor, z: Tensor, total: Tensor, mean: Tensor, to_both: Tensor, axis: int, rectify: bool
) -> None:
    """Fill the gradient with respect to E' and I', which has twice the width of z.

    Args:
        grad: with respect to z' or p; this and what is read besides may lie in any layout.
        z: as `pooled_forward` gave it, as all that follows.
        total: D.
        mean: over the units.
        to_both: what is filled.
        axis: of the channels, counted from the end.
        rectify: whether ``grad`` is that of p.
    """
    grad, z, total, mean = _in_order_of(to_both, grad, z, total, mean)
    tensors = (grad, z, total, mean, torch.empty_like(mean), to_both)
    _call(f"pooled_backward_{POOLED[z.dtype]}", tensors, to_both, axis, 0, rectify)


def split(conductance: Tensor, rest: Tensor, common: Tensor, many: int) -> None:
    """Split float32 conductances into what is common to them, (kinds, units), and a rest, (kinds * units, ...).

    Args:
        conductance: (units, kinds * fan-in, *kernel).
        rest: what is filled, in bfloat16.
        common: likewise.
        many: from how many synapses on their mean is common to them, see `splitting`.
    """
    kinds, units = common.shape
    sizes = units, 1, conductance.numel() // common.numel()
    _run("split_bfloat16", (conductance, rest, common), sizes, kinds, many)


def channel_sums(p: Tensor, sums: Tensor, axis: int) -> None:
    """Fill the sums of p over the channels of each group, (..., groups, *positions), in the layout of p."""
    _run(f"channel_sums_{_name(p, sums)}", (p, sums), _groups(p, sums.shape[axis], axis))


def join_gradients(of_p: Tensor, of_sums: Tensor, result: Tensor, axis: int) -> None:
    """Fill the gradient of p from that of p itself and that of its sums; all but the result in any layout."""
    order = layout(result)
    tensors = of_p.contiguous(memory_format=order), of_sums.contiguous(memory_format=order), result
    _run(f"join_gradients_{_name(result, of_sums)}", tensors, _groups(result, of_sums.shape[axis], axis))


def _name(p: Tensor, sums: Tensor | None, result: Tensor | None = None) -> str:
    if p.dtype == torch.float32 and result is not None and result.dtype == torch.bfloat16:
        return "float32_to_bfloat16"
    in_double = p.dtype == torch.float32 and sums is not None and sums.dtype == torch.float64
    return "float32_in_float64" if in_double else TYPES[p.dtype]


def layout(tensor: Tensor) -> torch.memory_format:
    """The order in which a tensor that `takes` accepts lies in memory."""
    return torch.contiguous_format if tensor.is_contiguous() else torch.channels_last


def _in_order_of(like: Tensor, *tensors: Any) -> tuple[Any, ...]:
    """The tensors in one layout: gradients come in any, and hooks of autograd bring back what was kept in others."""
    order = layout(like)
    return tuple(None if each is None else each.contiguous(memory_format=order) for each in tensors)


def _rows(tensor: Tensor, axis: int) -> tuple[int, int, int] | None:
    """Rows, channels, and neighbouring positions of a channel, as the numbers lie in memory; None for another order."""
    channels = tensor.shape[axis]
    if tensor.is_contiguous():
        inner = math.prod(tensor.shape[tensor.ndim + axis + 1 :])
        return tensor.numel() // (channels * inner), channels, inner
    if tensor.ndim == 4 and axis == -3 and tensor.is_contiguous(memory_format=torch.channels_last):
        return tensor.numel() // channels, channels, 1
    return None


def _groups(tensor: Tensor, groups: int, axis: int) -> tuple[int, int, int]:
    """As `_rows`, a row for each group."""
    order = _rows(tensor, axis)
    assert order is not None
    return order[0] * groups, order[1] // groups, order[2]


def _call(name: str, tensors: Sequence[Tensor | None], both: Tensor, axis: int, width: int, rectify: bool) -> None:
    """Run a pass over what lies in the order of ``both``, which holds E' and I' or their gradients."""
    order = _rows(both, axis)
    assert order is not None
    _run(name, tensors, (order[0], order[1] // 2, order[2]), width, rectify)


def _run(
    name: str, tensors: Sequence[Tensor | None], order: tuple[int, int, int], width: int = 0, option: int = 0
) -> None:
    threads = max(1, min(torch.get_num_threads(), math.prod(order) // PER_THREAD))
    sizes = (ctypes.c_int64(size) for size in (*order, width))
    read = readable(tensors)
    getattr(library(), name)(*addresses(read), *sizes, int(option), threads)


def readable(tensors: Sequence[Tensor | None]) -> list[Tensor | None]:
    """The same numbers for C++, their signs in memory: where numbers have been conjugated, torch keeps signs apart.

    Raises:
        InputError: one of them does not lie on the CPU.
    """
    for tensor in tensors:
        if tensor is not None and tensor.device.type != "cpu":
            raise InputError(f"tensors lie on cpu and on {tensor.device}: move all of them to one device")
    return [None if tensor is None else tensor.resolve_neg() for tensor in tensors]


def addresses(tensors: Sequence[Tensor | None]) -> list[ctypes.c_void_p]:
    """Where their numbers lie; nowhere for one that is missing, or empty."""
    return [ctypes.c_void_p(None if tensor is None else tensor.data_ptr() or None) for tensor in tensors]
