"""Both products of a linear layer, read from and written to the halves of whole matrices.

A matrix product takes any rows of constant stride, so the excitatory and the inhibitory columns of G are used where
they lie, E' and I' are written side by side, and backward fills the two halves of each gradient in place. Autograd on
slices would copy every half, and join gradients as large as G once more.

Products are those of torch, or those of `kernels.rounded`.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional as F

from conductance.eager import eager, is_seen_through
from conductance.kernels import rounded
from conductance.kernels.onednn import LEAST, faster_products


def formula(p: Tensor, conductance: Tensor, leak: Tensor, excitatory: int) -> Tensor:
    """What `paired_linear` computes, in operations that autograd sees."""
    to_E, to_I = _columns(conductance, excitatory)
    p_E, p_I = _inputs(p.to(conductance.dtype), conductance.shape[1], excitatory)
    return torch.cat([F.linear(p_E, to_E, leak[0]), F.linear(p_I, to_I, leak[1])], -1)


class _Product(Function):
    @staticmethod
    def forward(ctx: Any, p: Tensor, matrix: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(p, matrix)
        return torch.addmm(bias, p, matrix.t())

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        p, matrix = ctx.saved_tensors
        needs_p, needs_matrix, needs_bias = ctx.needs_input_grad
        with torch.autocast(grad.device.type, enabled=False):
            return (
                grad.mm(matrix) if needs_p else None,
                grad.t().mm(p) if needs_matrix else None,
                grad.sum(0) if needs_bias else None,
            )


def product(p: Tensor, matrix: Tensor, bias: Tensor | None) -> Tensor:
    """As ``F.linear``, in the type of the matrix; its backward pass stays in that type, also within autocast."""
    p = p.to(matrix.dtype)
    if not eager() or p.ndim == 1 or bias is None:
        return F.linear(p, matrix, bias)
    result: Tensor = _Product.apply(p if p.ndim == 2 else p.flatten(0, -2), matrix, bias)
    return result if p.ndim == 2 else result.unflatten(0, p.shape[:-1])


# To stack fewer conductances takes less time than a second product.
SMALL = 2**15


def _is_small(p: Tensor, conductance: Tensor) -> bool:
    """Whether one product serves an input that is shared, of conductances that are stacked for it."""
    shared = p.shape[1] < conductance.shape[1] and p.device.type == "cpu"
    return shared and conductance.numel() < SMALL and _multiplications(p, conductance) < LEAST


class _PairedLinear(Function):
    @staticmethod
    def forward(ctx: Any, p: Tensor, conductance: Tensor, leak: Tensor, excitatory: int, rounds: bool) -> Tensor:
        ctx.save_for_backward(p, conductance, leak)
        units, fan_in = conductance.shape
        ctx.excitatory, ctx.rounds = excitatory, rounds
        result = conductance.new_empty(len(p), 2 * units)
        halves = zip(
            leak, _inputs(p, fan_in, excitatory), result.chunk(2, 1), _columns(conductance, excitatory), strict=True
        )
        product = rounded.product if rounds else _product
        with faster_products(_multiplications(p, conductance)):
            for bias, here, out, columns in halves:
                product(here, columns, bias, out)
        return result

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        p, conductance, leak = ctx.saved_tensors  # read once: checkpointing hands them out once
        # as autograd's own products: in the types of forward
        with torch.autocast(grad.device.type, enabled=False), faster_products(_multiplications(p, conductance)):
            return _PairedLinear._gradients(ctx, p, conductance, leak, grad)

    @staticmethod
    def _gradients(ctx: Any, p: Tensor, conductance: Tensor, leak: Tensor, grad: Tensor) -> tuple[Tensor | None, ...]:
        if is_seen_through(grad):
            return *_again(p, conductance, leak, ctx.excitatory, grad, ctx.needs_input_grad[:3]), None, None
        needs_p, needs_conductance, needs_leak, *_ = ctx.needs_input_grad
        grads = *grad.contiguous().chunk(2, 1), p, conductance, ctx.excitatory, ctx.rounds
        return (
            input_gradient(*grads) if needs_p else None,
            conductance_gradient(*grads) if needs_conductance else None,
            grad.sum(0).view(2, -1) if needs_leak else None,
            None,
            None,
        )


def _again(
    p: Tensor, conductance: Tensor, leak: Tensor, excitatory: int, grad: Tensor, needs: tuple[bool, ...]
) -> tuple[Tensor | None, ...]:
    """The gradients of the three tensors, by operations that autograd sees."""
    with torch.enable_grad():
        result = formula(p, conductance, leak, excitatory)
        wanted = [each for each, need in zip((p, conductance, leak), needs, strict=True) if need]
        found = iter(torch.autograd.grad(result, wanted, grad, create_graph=True))
    return tuple(next(found) if need else None for need in needs)


def _multiplications(p: Tensor, conductance: Tensor) -> int:
    """Of one product: half of all synapses, for each row."""
    return len(p) * conductance.numel() // 2


def _columns(matrix: Tensor, excitatory: int) -> tuple[Tensor, Tensor]:
    return matrix[..., :excitatory], matrix[..., excitatory:]


def _inputs(p: Tensor, fan_in: int, excitatory: int) -> tuple[Tensor, Tensor]:
    """What the excitatory and the inhibitory synapses read: parts of p, or both all of it where it is shared."""
    if p.shape[-1] < fan_in:
        return p, p
    p_E, p_I = p.split([excitatory, fan_in - excitatory], -1)
    return p_E, p_I


def input_gradient(
    grad_E: Tensor, grad_I: Tensor, p: Tensor, conductance: Tensor, excitatory: int, rounds: bool = False
) -> Tensor:
    """With respect to p."""
    to_E, to_I = _columns(conductance, excitatory)
    gradient = rounded.input_gradient if rounds else _input_gradient
    result = torch.empty_like(p, memory_format=torch.contiguous_format)  # rows, even where p lies in columns
    if p.shape[1] < conductance.shape[1]:
        of_I = torch.empty_like(result)
        gradient(grad_E, to_E, result)
        gradient(grad_I, to_I, of_I)
        return result.add_(of_I)
    out_E, out_I = _columns(result, excitatory)
    gradient(grad_E, to_E, out_E)
    gradient(grad_I, to_I, out_I)
    return result


def conductance_gradient(
    grad_E: Tensor, grad_I: Tensor, p: Tensor, conductance: Tensor, excitatory: int, rounds: bool = False
) -> Tensor:
    """With respect to the conductances."""
    gradient = rounded.conductance_gradient if rounds else _conductance_gradient
    result = torch.empty_like(conductance)
    p_E, p_I = _inputs(p, conductance.shape[1], excitatory)
    out_E, out_I = _columns(result, excitatory)
    gradient(grad_E, p_E, out_E)
    gradient(grad_I, p_I, out_I)
    return result


# The products of torch, as those of `rounded`


def _product(p: Tensor, conductance: Tensor, bias: Tensor, out: Tensor) -> None:
    torch.addmm(bias, p, conductance.t(), out=out)


def _input_gradient(grad: Tensor, conductance: Tensor, out: Tensor) -> None:
    torch.mm(grad, conductance, out=out)


def _conductance_gradient(grad: Tensor, p: Tensor, out: Tensor) -> None:
    torch.mm(grad.t(), p, out=out)


class _DoubledLinear(Function):
    """A doubled input that needs no gradient, in float32: from N = E' - I' and D = E' + I'.

    An average is N / D. N keeps float32's precision, and more of it than the difference of two large sums has. D needs
    only a relative one: its factors are rounded to bfloat16, in half of the time.
    """

    @staticmethod
    def forward(ctx: Any, p: Tensor, conductance: Tensor, leak: Tensor) -> Tensor:
        ctx.save_for_backward(p, conductance, leak)
        units, fan_in = len(conductance), p.shape[1]
        result = p.new_empty(len(p), 2 * units)
        differences = result[:, units:]
        with faster_products(_multiplications(p, conductance)):
            for to_both, out in zip(conductance.split(_BLOCK), differences.split(_BLOCK, 1), strict=True):
                torch.mm(p, torch.sub(to_both[:, :fan_in], to_both[:, fan_in:]).t(), out=out)
        rounded.both_from_difference(p, conductance, leak, result)
        return result

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        p, conductance, leak = ctx.saved_tensors
        if is_seen_through(grad):
            return _again(p, conductance, leak, p.shape[1], grad, (False, *ctx.needs_input_grad[1:]))
        grad_E, grad_I = (half.split(_BLOCK, 1) for half in grad.chunk(2, 1))
        result = torch.empty_like(conductance)
        outs = result[:, : p.shape[1]].split(_BLOCK)
        with torch.autocast(grad.device.type, enabled=False), faster_products(_multiplications(p, conductance)):
            for of_E, of_I, out in zip(grad_E, grad_I, outs, strict=True):
                torch.mm(torch.sub(of_E, of_I).t(), p, out=out)
        rounded.both_gradients_from_difference(grad, p, result)
        return None, result, grad.sum(0).view(2, -1) if ctx.needs_input_grad[2] else None


_BLOCK = 512  # units, of which differences are formed at a time, so that they stay in the cache


def _is_doubled(p: Tensor, conductance: Tensor) -> bool:
    """Whether `_DoubledLinear` serves: in training, so that nothing is rounded where numbers are all that counts."""
    learns = torch.is_grad_enabled() and conductance.requires_grad and not p.requires_grad
    shared = p.shape[1] < conductance.shape[1] and p.dtype == torch.float32
    return learns and shared and _multiplications(p, conductance) >= LEAST and rounded.serves(p, conductance)


def paired_linear(p: Tensor, conductance: Tensor, leak: Tensor, excitatory: int, *, rounds: bool = False) -> Tensor:
    """E' of all units, then I' of all units: (..., 2 * units), in the type of G.

    Args:
        p: open probabilities, (..., fan-in), excitatory channels first; or (..., fan-in / 2), read by the excitatory
            and by the inhibitory synapses alike (the paper's doubled input).
        conductance: G (units, fan-in), excitatory columns first.
        leak: (2, units), added to E and to I.
        excitatory: how many columns are excitatory; half of them where the input is shared.
        rounds: factors to bfloat16, by the products of `kernels.rounded`, which must serve here.
    """
    if not eager() or p.ndim == 1:
        return formula(p, conductance, leak, excitatory)
    rows = p if p.ndim == 2 else p.flatten(0, -2)
    result: Tensor
    if not rounds and _is_small(rows, conductance):
        return product(p, torch.cat(_columns(conductance, excitatory)), leak.flatten())
    if not rounds and _is_doubled(rows, conductance):
        result = _DoubledLinear.apply(rows, conductance, leak)
    else:
        result = _PairedLinear.apply(rows, conductance, leak, excitatory, rounds)
    return result if p.ndim == 2 else result.unflatten(0, p.shape[:-1])
