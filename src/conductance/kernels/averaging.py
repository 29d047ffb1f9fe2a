r"""From the two conductances that compete at each unit to its membrane potential, forward and backward.

E' and I' come in one tensor, one after the other along the channel axis, as one product can write them. With
:math:`D = E' + I'`,

.. math:: z = \frac{E' - I'}{D}, \qquad \frac{\partial z}{\partial E'} = \frac{1 - z}{D}, \qquad
          \frac{\partial z}{\partial I'} = -\frac{1 + z}{D},

so z and D are all that backward needs; rectified, p = max(z, 0) and D, for where p is 0 so is the gradient. These few
operations move nine tensors through memory where BatchNorm with its ReLU moves thirteen, if nothing in between is
written out: that is what the kernels here are about. Measurements are in ``benchmarks/README.md``.
"""

import warnings
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function

from conductance.eager import eager, is_seen_through
from conductance.errors import UnknownNameError
from conductance.kernels import native
from conductance.kernels.gpu.choice import on_gpu

# The plain formula ----------------------------------------------------------------------------------------------------


def formula(conductances: Tensor, axis: int, rectify: bool, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """(z or p, D), each half as wide as ``conductances`` along ``axis``."""
    E, I = conductances.chunk(2, axis)
    total = E + I
    z = (E - I) / total
    return (z.relu() if rectify else z).to(dtype), total.to(type_of_total(dtype, total.dtype))


def type_of_total(dtype: torch.dtype, divided_in: torch.dtype) -> torch.dtype:
    """What D is kept in for backward, where the result is of type ``dtype``: float16 ends at 65504, and would hold
    infinity, of which the gradient is 0."""
    return divided_in if dtype == torch.float16 else dtype


def _formula_alone(conductances: Tensor, axis: int, rectify: bool, dtype: torch.dtype) -> Tensor:
    return formula(conductances, axis, rectify, dtype)[0]


_NOTHING_IN_FLOAT16 = 2.0**-13  # two halves of a leak that are its smallest normal numbers


def divided_by(total: Tensor, dtype: torch.dtype) -> Tensor:
    """D as backward divides by it, where the result is of type ``dtype``.

    In float16, gradients of a unit in which nothing is open but the smallest leak would be infinite, and NaN times the
    p = 0 of its silent inputs. Such a unit learns nothing.
    """
    return total.masked_fill(total <= _NOTHING_IN_FLOAT16, float("inf")) if dtype == torch.float16 else total


def formula_gradient(grad: Tensor, z: Tensor, total: Tensor, axis: int, rectify: bool, dtype: torch.dtype) -> Tensor:
    """The gradient with respect to ``conductances``, of which ``dtype`` is the type."""
    slope = grad / total
    if rectify:
        slope = slope * (z > 0)
    return torch.cat([slope * (1 - z), -slope * (1 + z)], axis).to(dtype)


# In blocks ------------------------------------------------------------------------------------------------------------

# What one thread works on before it goes on, so that the next operation finds it in the core's cache.
BLOCK_BYTES = 2**19


def _blocks(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """The tensors in pieces along their first axis; the first tensor's pieces have the wanted size."""
    rows = rows_of_a_block(tensors[0], tensors[0].dtype)
    return zip(*(tensor.split(rows) for tensor in tensors), strict=True)


def rows_of_a_block(like: Tensor, dtype: torch.dtype) -> int:
    """How much of a tensor of this shape, in this type, the threads' caches hold along its first axis."""
    bytes_per_row = max(1, like[0].numel() * dtype.itemsize)
    return max(1, BLOCK_BYTES * torch.get_num_threads() // bytes_per_row)


def _blocked(conductances: Tensor, axis: int, rectify: bool, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    del dtype  # that of the conductances, see `average_kernel`
    E, I = conductances.chunk(2, axis)
    z, total = torch.empty_like(E), torch.empty_like(E)
    for e, i, d, v in _blocks(E, I, total, z):
        torch.add(e, i, out=d)
        torch.sub(e, i, out=v)
        v.div_(d)
        if rectify:
            v.relu_()
    return z, total


def _blocked_alone(conductances: Tensor, axis: int, rectify: bool, dtype: torch.dtype) -> Tensor:
    """D stays in the cache, for nobody will ask for it."""
    del dtype
    E, I = conductances.chunk(2, axis)
    z = torch.empty_like(E)
    for e, i, v in _blocks(E, I, z):
        total = e + i
        torch.sub(e, i, out=v)
        v.div_(total)
        if rectify:
            v.relu_()
    return z


def _blocked_gradient(grad: Tensor, z: Tensor, total: Tensor, axis: int, rectify: bool, dtype: torch.dtype) -> Tensor:
    del dtype
    out = empty_twice(z, axis)
    grad_E, grad_I = out.chunk(2, axis)
    for g, v, d, to_E, to_I in _blocks(grad, z, total, grad_E, grad_I):
        slope = g / d
        if rectify:
            torch.ops.aten.threshold_backward.grad_input(slope, v, 0, grad_input=slope)
        torch.addcmul(slope, slope, v, value=-1, out=to_E)
        torch.sub(to_E, slope, alpha=2, out=to_I)  # slope (1 - z) - 2 slope = -slope (1 + z)
    return out


def empty_twice(like: Tensor, axis: int, dtype: torch.dtype | None = None) -> Tensor:
    """Room for two tensors like this one along ``axis``, channels last where this one has them last."""
    shape = list(like.shape)
    shape[axis] *= 2
    channels_last = like.ndim == 4 and like.is_contiguous(memory_format=torch.channels_last)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    return torch.empty(shape, dtype=dtype or like.dtype, device=like.device, memory_format=layout)


# Compiled -------------------------------------------------------------------------------------------------------------


class Compiled:
    """A formula handed to ``torch.compile`` at its first call; the formula itself where that fails."""

    def __init__(self, formula: Callable[..., Any]) -> None:
        self.formula = formula
        self.compiled: Callable[..., Any] | None = None

    def __call__(self, *args: Any) -> Any:
        """What the formula gives."""
        if self.compiled is None:
            self.compiled = torch.compile(self.formula, dynamic=True)
        try:
            return self.compiled(*args)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # whatever is missing: a compiler, its headers, room for its cache
            if self.compiled is self.formula:
                raise
            result = self.formula(*args)  # what is wrong with the arguments is wrong here too
            _say_that_compiling_failed(type(error).__name__, str(error).strip().partition("\n")[0])
            self.compiled = self.formula
            return result


@cache  # once, for both passes of all layers
def _say_that_compiling_failed(kind: str, reason: str) -> None:
    warnings.warn(
        f"the average could not be compiled ({kind}: {reason}); going on without. With a C++ compiler "
        "(on a GPU: Triton) each layer is a few percent faster",
        stacklevel=3,
    )


# As compiled C++ ------------------------------------------------------------------------------------------------------


def _native(conductances: Tensor, axis: int, rectify: bool, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    z = empty_half(conductances, axis, dtype)
    total = torch.empty_like(z)
    native.forward(conductances, None, None, None, z, total, axis, rectify)
    return z, total


def _native_alone(conductances: Tensor, axis: int, rectify: bool, dtype: torch.dtype) -> Tensor:
    z = empty_half(conductances, axis, dtype)
    native.forward(conductances, None, None, None, z, None, axis, rectify)
    return z


def _native_gradient(grad: Tensor, z: Tensor, total: Tensor, axis: int, rectify: bool, dtype: torch.dtype) -> Tensor:
    out = empty_twice(z, axis, dtype)
    native.backward(grad, z, total, None, out, axis, rectify, 0)
    return out


def empty_half(both: Tensor, axis: int, dtype: torch.dtype | None = None) -> Tensor:
    """Room for half of a tensor along ``axis``, in its layout."""
    return torch.empty_like(both.narrow(axis, 0, both.shape[axis] // 2), dtype=dtype)


# In Triton ------------------------------------------------------------------------------------------------------------


def _triton(conductances: Tensor, axis: int, rectify: bool, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    from conductance.kernels.gpu import average as launch

    return launch.forward(conductances, axis, rectify, dtype, type_of_total(dtype, conductances.dtype))


def _triton_alone(conductances: Tensor, axis: int, rectify: bool, dtype: torch.dtype) -> Tensor:
    from conductance.kernels.gpu import average as launch

    return launch.alone(conductances, axis, rectify, dtype)


def _triton_gradient(grad: Tensor, z: Tensor, total: Tensor, axis: int, rectify: bool, dtype: torch.dtype) -> Tensor:
    from conductance.kernels.gpu import average as launch

    return launch.gradient(grad, z, total, axis, rectify, dtype)


# The choice -----------------------------------------------------------------------------------------------------------


class AverageKernel(NamedTuple):
    """One way to compute the average and its gradient; ``alone`` gives z or p without what backward needs."""

    forward: Callable[[Tensor, int, bool, torch.dtype], tuple[Tensor, Tensor]]
    alone: Callable[[Tensor, int, bool, torch.dtype], Tensor]
    backward: Callable[[Tensor, Tensor, Tensor, int, bool, torch.dtype], Tensor]


AVERAGES = {
    "formula": AverageKernel(formula, _formula_alone, formula_gradient),
    "blocked": AverageKernel(_blocked, _blocked_alone, _blocked_gradient),
    "native": AverageKernel(_native, _native_alone, _native_gradient),
    "compiled": AverageKernel(Compiled(formula), Compiled(_formula_alone), Compiled(formula_gradient)),
    "triton": AverageKernel(_triton, _triton_alone, _triton_gradient),
}

_chosen: str | None = None


def use_average(name: str | None) -> None:
    """Choose how every layer of this process averages.

    Args:
        name: "formula", "blocked" (CPU only), "native" (CPU only, needs a C++ compiler at its first use on a machine),
            "compiled" (by ``torch.compile``; the first call of each kind takes seconds), "triton" (CUDA with Triton
            only), or None for what measured best: on a CPU "native" for large tensors, "blocked" where there is no
            compiler and "formula" for small ones, on a GPU "triton" where it serves.

    Raises:
        UnknownNameError: another name.
    """
    global _chosen
    if name is not None and name not in AVERAGES:
        raise UnknownNameError("kernel for the average", name, AVERAGES)
    _chosen = name


def average_kernel(like: Tensor, axis: int, dtype: torch.dtype) -> AverageKernel:
    """The kernel for a tensor like this one: the chosen one where it applies."""
    return AVERAGES[kernel_name(like, axis, dtype)]


def kernel_name(like: Tensor, axis: int, dtype: torch.dtype | None = None) -> str:
    """Which of `AVERAGES` applies to a tensor like this: the chosen one, where it gives that type of result."""
    if not eager():
        return "formula"
    name = _chosen or _default(like)
    if name == "triton" and not on_gpu(like):
        return "formula"
    blocks = dtype is None or dtype == like.dtype
    rounds = like.dtype == torch.float32 and dtype == torch.bfloat16
    if name == "native" and not ((blocks or rounds) and native.takes(like, axis) and native.library()):
        name = "blocked"
    in_blocks = blocks and like.device.type == "cpu" and like.ndim + axis > 0 and like.numel() > 0
    return "formula" if name == "blocked" and not in_blocks else name


def is_native(numbers: int) -> bool:
    """Whether so many float32 numbers on a CPU, E' and I' of all units, are averaged as compiled C++."""
    name = _chosen or ("native" if native.is_worth_it(numbers) else "blocked")
    return name == "native" and native.library() is not None


def _default(like: Tensor) -> str:
    if on_gpu(like):
        return "triton"
    if like.device.type == "cpu":
        return "native" if native.is_worth_it(like.numel()) else "blocked"
    return "formula"


class _Average(Function):
    """Both z and D are outputs, so that autograd knows how they depend on E' and I' and can differentiate twice."""

    @staticmethod
    def forward(ctx: Any, conductances: Tensor, axis: int, rectify: bool, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        ctx.kernel = average_kernel(conductances, axis, dtype)
        ctx.axis, ctx.rectify, ctx.dtype = axis, rectify, conductances.dtype
        z, total = ctx.kernel.forward(conductances.detach(), axis, rectify, dtype)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(z, total)
        return z, total

    @staticmethod
    def backward(ctx: Any, grad: Tensor | None, grad_total: Tensor | None) -> tuple[Tensor | None, ...]:
        z, total = ctx.saved_tensors
        total = divided_by(total, z.dtype)
        result = None
        if grad is not None:
            if is_seen_through(grad):
                kernel = AVERAGES["formula"]
            else:
                kernel, z, total = ctx.kernel, z.detach(), total.detach()
            result = kernel.backward(grad, z, total, ctx.axis, ctx.rectify, ctx.dtype)
        if grad_total is not None:
            both = torch.cat([grad_total, grad_total], ctx.axis).to(ctx.dtype)
            result = both if result is None else result + both
        return result, None, None, None


def _is_small(like: Tensor) -> bool:
    """Whether what is called takes longer than what is computed, so that torch's own derivative is the fastest."""
    small = like.numel() < native.LEAST and like.device.type == "cpu" and like.dtype != torch.float16
    return small and _chosen is None


def average(conductances: Tensor, axis: int, rectify: bool, dtype: torch.dtype | None = None) -> Tensor:
    """z = (E' - I') / (E' + I'), or p = max(z, 0).

    Args:
        conductances: E' of all units, then I' of all units, along ``axis``; both positive.
        axis: counted from the end, so negative.
        rectify: p instead of z.
        dtype: type of the result, that of ``conductances`` by default, in which the division is done in any case.
    """
    dtype = dtype or conductances.dtype
    # (torch 2.11 loses the gradient of a compiled function of autograd with two results)
    if not eager() or _is_small(conductances):
        return _formula_alone(conductances, axis, rectify, dtype)
    if not (conductances.requires_grad and torch.is_grad_enabled()):
        return average_kernel(conductances, axis, dtype).alone(conductances, axis, rectify, dtype)
    return _Average.apply(conductances, axis, rectify, dtype)[0]
