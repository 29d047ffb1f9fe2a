"""Muon: a step along an orthogonal matrix, so that no direction shared by all units dominates it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import sqrt
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from conductance.checked import checked
from conductance.errors import InputError
from conductance.kernels import steps
from conductance.kernels.onednn import faster_products, float32_precision
from conductance.optim.rules import Group, State, gradient_of, limit, running_mean
from conductance.sharded import sharded_like, whole

# Keller Jordan's quintic (2024): five rounds bring singular values from 0.001 .. 1 to 0.7 .. 1.2.
QUINTIC = (3.4445, -4.7750, 2.0315)
ROUNDS = 5

# Below this largest entry a step shrinks with its direction: the momentum of units that no longer get a gradient decays
# towards 0, and what is left of it says nothing about the loss.
LEAST_DIRECTION = 1e-14


@checked
@torch.no_grad()
def orthogonalize(matrices: Tensor, rounds: int = ROUNDS) -> Tensor:
    """An approximation of the nearest matrix with orthonormal rows (or columns): all singular values come near 1.

    Newton-Schulz, X <- a X + b (X X^T) X + c (X X^T)^2 X, but on the Gram matrix A = X X^T of the shorter side. Every
    round multiplies X by a polynomial of A from the left, and polynomials of A commute, so X itself takes part in two
    products instead of three per round. For n units with m > n synapses each this costs 4 n^2 m + 8 n^3 ``rounds``
    operations instead of (4 n^2 m + 2 n^3) ``rounds``.

    The result does not depend on the scale of a matrix. Products are computed in float32 or float64, also under
    autocast and where torch may round to TF32; half precision is converted to float32 first.

    Args:
        matrices: (..., rows, columns), finite.
        rounds: number of Newton-Schulz iterations.

    Returns:
        The same shape and type. A matrix of zeros stays zero.

    Raises:
        InputError: a value is infinite or NaN (inside a compiled graph: the result is NaN instead).
    """
    if matrices.ndim < 2:
        raise InputError(f"orthogonalize takes matrices (..., rows, columns), not the shape {tuple(matrices.shape)}")
    if not torch.compiler.is_compiling() and not bool(matrices.isfinite().all()):
        raise InputError("orthogonalize takes finite matrices, and this one holds infinite values or NaN")
    return _orthogonalized(matrices, rounds, least=0.0)


def muon(parameters: Sequence[Tensor], state: State, group: Group) -> None:
    """Muon (Jordan et al., 2024) for conductances as a matrix (units, synapses of each unit).

        M <- mu M + (1 - mu) gradient,   U = orthogonalize((1 - mu) gradient + mu M)
        g <- g - lr * scale * sqrt(max(units, synapses)) * U

    The root mean square of a layer's step is about ``lr * scale``. All units of a layer see nearly the same E and the
    same I, and this common direction holds most of a gradient; made orthogonal, it is one direction among many.

    The matrix may be divided first: into at most ``block`` units (the cost of Newton-Schulz grows with their square),
    and into the ``kinds`` of presynaptic channels, so that excitation and inhibition each have their own directions.

    ``torch.optim.Muon`` takes matrices only and orthogonalizes in bfloat16, whose Gram matrix loses the directions that
    are weaker than the common one. This rule takes any parameter of two or more axes (unit, presynaptic channel, ...)
    and keeps float32.

    Synapses that do not exist (``mask`` is 0) have no part in a step: it is cut there, and the root mean square is
    that of the others.

    A gradient that is not finite makes the parameter NaN, as with torch's optimizers.
    """
    mu = group["betas"][0]
    for parameter in parameters:
        direction = whole(gradient_of(parameter).lerp(running_mean(parameter, state, mu), mu))
        if group.get("mask") is None and type(parameter) in (Tensor, Parameter):  # added as it is found: no pass more
            _move_by_pieces(parameter, direction, group)
            continue
        for rows in _pieces(direction, group):
            rows.copy_(_step(rows, 1.0))
        if group.get("mask") is not None:
            direction = _only_synapses(direction, group["mask"])
        parameter.add_(sharded_like(direction, parameter), alpha=-group["lr"] * group["scale"])
        limit([parameter], group)


def _move_by_pieces(parameter: Tensor, direction: Tensor, group: Group) -> None:
    """Take the step of one piece after the other, and keep the parameter above its limit."""
    last = parameter.ndim == 4 and parameter.is_contiguous(memory_format=torch.channels_last)
    both = (_pieces(each, group, last) for each in (direction, parameter))
    limited = group["least"] is not None and steps.serve(parameter)
    for rows, moved in zip(*both, strict=True):
        step = _step(rows, group["lr"] * group["scale"])
        if limited:
            flat = moved if last else moved.flatten(2)
            steps.subtract(flat, step.view_as(flat), group["least"])
        else:
            moved.sub_(step)
        del step  # before the next one takes as much memory
    if not limited:
        limit([parameter], group)


def _pieces(matrix: Tensor, group: Group, last: bool = False) -> Iterator[Tensor]:
    """Views of what is made orthogonal together: (pieces, units, synapses of one kind, ...).

    Channels that are stored last come last, so that nothing is copied out of order: a step depends on no order of
    synapses.
    """
    matrix, axis = (matrix.permute(0, 2, 3, 1), 3) if last else (matrix, 1)
    for along in matrix.split(group["kinds"] or matrix.shape[axis], axis):
        yield from _equal_pieces(along, -(-len(along) // group["block"]))


def _step(rows: Tensor, size: float | Tensor) -> Tensor:
    """The orthogonal matrices nearest to pieces of a direction, ``size`` times the root mean square of 1."""
    matrices = rows.flatten(2)
    return _orthogonalized(matrices, ROUNDS, LEAST_DIRECTION, size * sqrt(max(matrices.shape[-2:]))).view_as(rows)


def _only_synapses(direction: Tensor, mask: Tensor) -> Tensor:
    """The direction, changed in place: that of existing synapses alone, with the root mean square of all."""
    exists = mask.to(direction.device, torch.bool)
    wanted = torch.linalg.vector_norm(direction) * (torch.count_nonzero(exists) / exists.numel()).sqrt()
    direction.mul_(exists)
    left = torch.linalg.vector_norm(direction).clamp(min=torch.finfo(direction.dtype).tiny)
    return direction.mul_(wanted / left)


def _equal_pieces(matrix: Tensor, number: int) -> Iterator[Tensor]:
    """Views of ``number`` pieces of rows, pieces of one size as one batch: there are at most two, one row apart."""
    rows, longer = divmod(len(matrix), number)
    cut = longer * (rows + 1)
    for part, pieces in ((slice(cut), longer), (slice(cut, None), number - longer)):
        if pieces:
            yield matrix[part].unflatten(0, (pieces, -1))


def _orthogonalized(matrices: Tensor, rounds: int, least: float, size: float | Tensor = 1.0) -> Tensor:
    """`orthogonalize`, times ``size``, but matrices whose largest entry is far below ``least`` are smaller steps."""
    X = matrices.to(torch.promote_types(matrices.dtype, torch.float32))
    axes = (-2, -1)  # two fast passes: torch's norm takes five times as long, and abs() would write a copy
    largest = torch.maximum(X.amax(axes, keepdim=True), -X.amin(axes, keepdim=True))
    largest = largest.clamp(min=max(least, torch.finfo(X.dtype).tiny))
    with _full_precision(X.device.type):  # scaled, the squares in the Gram matrix neither overflow nor vanish
        return _newton_schulz(X / largest, rounds, size).to(matrices.dtype)


@contextmanager
def _full_precision(device_type: str) -> Iterator[None]:
    """Do not round the factors of products to bfloat16 (autocast) or TF32.

    Rounded, a Gram matrix dominated by one direction has negative eigenvalues, and each round multiplies them by 12.
    """
    cuda: Any = torch.backends.cuda  # their ``matmul`` is missing in torch's types
    onednn: Any = torch.backends.mkldnn
    with torch.autocast(device_type, enabled=False):
        if torch.compiler.is_compiling():
            yield
            return
        with float32_precision(cuda.matmul, "ieee"), float32_precision(onednn.matmul, "ieee"):
            yield


def _newton_schulz(matrices: Tensor, rounds: int, size: float | Tensor) -> Tensor:
    """``size`` times what the iteration gives.

    The largest entry of a matrix is 1, or less if it is not to be made orthogonal.
    """
    tall = matrices.shape[-2] > matrices.shape[-1]
    X = matrices.mT if tall else matrices
    size_of_products = X.numel() * X.shape[-2]
    with faster_products(size_of_products):
        A = X @ X.mT
    square_norm = A.diagonal(dim1=-2, dim2=-1).sum(-1).clamp(min=1)[..., None, None]
    A /= square_norm
    identity = torch.eye(A.shape[-1], dtype=A.dtype, device=A.device)
    product = identity
    a, b, c = QUINTIC
    for _ in range(rounds):
        factor = a * identity + b * A + c * (A @ A)
        product = factor @ product
        A = factor @ A @ factor
    with faster_products(size_of_products):
        X = (product * (size / square_norm.sqrt())) @ X
    return X.mT if tall else X
