"""Conditioners beside Muon, on the side of the units and in its blocks: Shampoo and SOAP."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from conductance.optim import ConductanceOptimizer, create_optimizer, hidden_synapses

READOUT_STEP = 1e-2
BLOCK = 32
LEAST = 1e-6
"""Of an eigenvalue, as a share of the largest."""

Conditioner = Callable[[Tensor], Tensor]
"""From a gradient, units by synapses, to the direction of a step; it has a state of its own."""


def conditioned(network: nn.Module, step: float, conditioner: Callable[[], Conditioner]) -> ConductanceOptimizer:
    """An optimizer of hidden synapses that takes the direction that a conditioner makes of the gradient.

    Args:
        network: any.
        step: of the synapses, as a share of their mean at the start where the direction is 1.
        conditioner: makes one for each block of units and kind of synapses, as Muon has them.
    """
    optimizer = create_optimizer(network, "sgd", step, readout_lr=READOUT_STEP, momentum=0.0)
    synapses = {id(each.parameter): each for each in hidden_synapses(network)}
    groups = [group for group in optimizer.param_groups if group["rule"] == "sgd"]
    for group in groups:
        group["scale"] = synapses[id(group["params"][0])].size
    conditioners: dict[tuple[int, int], Conditioner] = {}

    def condition(*_: Any) -> None:
        for parameter in (each for group in groups for each in group["params"]):
            if parameter.grad is not None:
                for place, piece in enumerate(_pieces(parameter.grad, synapses[id(parameter)].kinds)):
                    condition = conditioners.setdefault((id(parameter), place), conditioner())
                    piece.copy_(condition(piece.flatten(1)).view_as(piece))

    optimizer.register_step_pre_hook(condition)
    return optimizer


def _pieces(gradient: Tensor, kinds: tuple[int, ...] | None) -> Iterator[Tensor]:
    for along in gradient.split(kinds or gradient.shape[1], 1):
        yield from along.split(BLOCK)


class Shampoo:
    r"""Shampoo (Gupta et al. 2018): the momentum of :math:`L^{-1/2} G`, where L is a running mean of G G^T.

    The root mean square of each is 1, so that the momentum's is 1 too where all agree.
    """

    momentum, decay = 0.95, 0.95

    def __init__(self) -> None:
        self.mean: Tensor | None = None
        self.sum: Tensor | float = 0.0

    def __call__(self, rows: Tensor) -> Tensor:
        """The direction, by Nesterov's momentum as Muon has it."""
        gram = rows @ rows.mT
        self.mean = (torch.zeros_like(gram) if self.mean is None else self.mean).lerp(gram, 1 - self.decay)
        direction = preconditioned(rows, self.mean)
        self.sum = self.momentum * self.sum + direction
        return (1 - self.momentum) * (direction + self.momentum * self.sum)


def preconditioned(rows: Tensor, mean: Tensor) -> Tensor:
    """The rows times the inverse root of a mean of their products, the root mean square of the result 1."""
    values, vectors = torch.linalg.eigh(mean)
    inverse = values.clamp(min=LEAST * float(values[-1]) + torch.finfo(mean.dtype).tiny).rsqrt()
    step = (vectors * inverse) @ (vectors.mT @ rows)
    size: Tensor = step.square().mean().sqrt()
    return step / size.clamp(min=torch.finfo(step.dtype).tiny)


class Soap:
    """SOAP (Vyas et al. 2024), one-sided: Adam in the basis of eigenvectors of Shampoo's running mean of G G^T.

    The basis follows the mean by a step of orthogonal iteration every so many steps, sorted by its eigenvalues, and so
    are the mean squares, which are kept in it.
    """

    betas, every = (0.95, 0.95), 10

    def __init__(self) -> None:
        self.steps = 0
        self.gram = self.basis = self.mean = self.square = torch.empty(0)

    def __call__(self, rows: Tensor) -> Tensor:
        """The direction, as large as Adam's: about 1 where all gradients agree."""
        first, second = self.betas
        gram = rows @ rows.mT
        if self.steps == 0:
            self.gram, self.basis = gram, torch.linalg.eigh(gram).eigenvectors
            self.mean = self.square = torch.zeros_like(rows)
        self.steps += 1
        self.mean = self.mean.lerp(rows, 1 - first)
        self.square = self.square.lerp((self.basis.mT @ rows).square(), 1 - second)
        size = (self.square / (1 - second**self.steps)).sqrt()
        size = size.clamp(min=LEAST * float(size.max()) + torch.finfo(size.dtype).tiny)
        direction = self.basis @ (self.basis.mT @ self.mean / (1 - first**self.steps) / size)
        self.gram = self.gram.lerp(gram, 1 - second)
        if self.steps % self.every == 0:
            self._follow()
        return direction

    def _follow(self) -> None:
        values = (self.basis * (self.gram @ self.basis)).sum(0)
        order = values.argsort(descending=True)
        self.square = self.square[order]
        self.basis = torch.linalg.qr(self.gram @ self.basis[:, order]).Q
