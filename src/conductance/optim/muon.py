"""Muon: momentum whose matrix is made orthogonal, so that no direction that all units share rules the step."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from math import sqrt
from typing import Any

import torch
from torch import Tensor

from conductance.optim.rule import Rule

# Keller Jordan's quintic (2024): five rounds bring singular values from 0.001 .. 1 to 0.7 .. 1.2.
QUINTIC = (3.4445, -4.7750, 2.0315)
ROUNDS = 5


@torch.no_grad()
def orthogonalize(matrices: Tensor, rounds: int = ROUNDS) -> Tensor:
    """The nearest matrix with orthonormal rows (or columns), nearly: all singular values come near 1.

    Newton-Schulz, X <- a X + b (X X^T) X + c (X X^T)^2 X, but on the Gram matrix A = X X^T of the shorter side: every
    round multiplies X by a polynomial of A from the left, and polynomials of A commute, so that X itself is touched
    twice, not three times a round. For a layer of n units and m > n synapses each that is 4 n^2 m + 8 n^3 ``rounds``
    operations instead of (4 n^2 m + 2 n^3) ``rounds``.

    Args:
        matrices: (..., rows, columns), float32 or float64; products are not rounded further, under autocast or where
            torch is allowed TF32 either.
        rounds: of the iteration.

    Returns:
        The same shape. A matrix of zeros stays so, and one whose norm is below 1e-14 or so (float32) comes out smaller,
        the smaller it is.
    """
    with _whole_precision(matrices.device.type):
        return _newton_schulz(matrices, rounds)


@contextmanager
def _whole_precision(device_type: str) -> Iterator[None]:
    """No product with factors rounded to bfloat16 (autocast) or TF32.

    Rounded, a Gram matrix that one direction fills has eigenvalues below 0, and each round makes them 12 times larger.
    """
    products: Any = (torch.backends.cuda, torch.backends.mkldnn)  # their ``matmul`` is missing in torch's types
    backends = [] if torch.compiler.is_compiling() else [backend.matmul for backend in products]
    before = [backend.fp32_precision for backend in backends]
    for backend in backends:
        backend.fp32_precision = "ieee"
    try:
        with torch.autocast(device_type, enabled=False):
            yield
    finally:
        for backend, precision in zip(backends, before, strict=True):
            backend.fp32_precision = precision


def _newton_schulz(matrices: Tensor, rounds: int) -> Tensor:
    tall = matrices.shape[-2] > matrices.shape[-1]
    X = matrices.mT if tall else matrices
    A = X @ X.mT
    square_norm = A.diagonal(dim1=-2, dim2=-1).sum(-1).clamp(min=_least_square_norm(X))[..., None, None]
    A /= square_norm
    identity = torch.eye(A.shape[-1], dtype=A.dtype, device=A.device)
    product = identity
    a, b, c = QUINTIC
    for _ in range(rounds):
        factor = a * identity + b * A + c * (A @ A)
        product = factor @ product
        A = factor @ A @ factor
    X = (product / square_norm.sqrt()) @ X
    return X.mT if tall else X


def _least_square_norm(X: Tensor) -> float:
    """Below it, products that are rounded to 0 decide what the Gram matrix is.

    It then has eigenvalues below 0, which the quintic takes to infinity. The momentum of units without gradient
    decays to such numbers.
    """
    kind = torch.finfo(X.dtype)
    return kind.tiny * X.shape[-1] / kind.eps


class Muon(Rule):
    """Muon (Jordan et al., 2024) for the conductances of a layer as a matrix (units, synapses of each unit).

        M <- mu M + (1 - mu) gradient,   U = orthogonalize((1 - mu) gradient + mu M)
        G <- G - lr * size * sqrt(max(units, synapses)) * U

    So the conductances move by ``lr * size``, as a root mean square over the layer: what Adam's step size says of
    every single one. All units of a layer see nearly the same E and the same I, and that one common direction fills
    most of a gradient; made orthogonal, it is one direction among many.

    The matrix may be cut before that: into ``block`` units at a time (Newton-Schulz costs their square), and into the
    kinds of presynaptic channels, so that excitation and inhibition each have their own directions.

    torch's own Muon takes matrices alone, and orthogonalizes in bfloat16, whose Gram matrix loses the directions
    that the common one outshines; this one takes any shape with two axes or more (the first is the unit, the second
    the presynaptic channel), and works in the parameter's precision.

    Args:
        params: parameters or groups of them, with two axes or more; all that is not a matrix of synapses belongs into
            another optimizer (`create_optimizer` sees to it).
        lr: step size, > 0.
        momentum: mu, in [0, 1).
        size: a typical conductance, by which the step is scaled; a group may have its own.
        block: most units that are made orthogonal together.
        kinds: presynaptic channels of each kind, in order; None for one kind. A group may have its own.

    Raises:
        ValueError: a parameter with fewer than two axes.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 0.1,
        momentum: float = 0.95,
        size: float = 1.0,
        block: int = 32,
        kinds: tuple[int, ...] | None = None,
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "size": size, "block": block, "kinds": kinds})
        for group in self.param_groups:
            if any(parameter.ndim < 2 for parameter in group["params"]):
                raise ValueError("Muon takes parameters with two axes or more, (units, synapses, ...)")

    def _move(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        direction = gradient.lerp(self._momentum(parameter, gradient, group), group["momentum"])
        kinds = group["kinds"] or parameter.shape[1]
        for synapses, along in zip(parameter.split(kinds, 1), direction.split(kinds, 1), strict=True):
            number = -(-len(along) // group["block"])
            for rows, row_directions in _alike(synapses, along, number):
                matrices = row_directions.flatten(1 - along.ndim)
                step = orthogonalize(matrices).mul_(sqrt(max(matrices.shape[-2:])))
                rows.add_(step.view_as(row_directions), alpha=-group["lr"] * group["size"])


def _alike(parameter: Tensor, direction: Tensor, number: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Both in ``number`` pieces of rows, those of one size as one batch: there are two sizes at most, one row apart."""
    rows, longer = divmod(len(direction), number)
    cut = longer * (rows + 1)
    for part, pieces in ((slice(cut), longer), (slice(cut, None), number - longer)):
        if pieces:
            yield parameter[part].unflatten(0, (pieces, -1)), direction[part].unflatten(0, (pieces, -1))
