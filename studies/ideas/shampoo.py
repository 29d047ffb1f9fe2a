"""Shampoo (Gupta et al. 2018) on the units' side, in Muon's blocks: what Muon does with a running mean of G G^T."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from conductance.optim import ConductanceOptimizer, create_optimizer, hidden_synapses

MOMENTUM = 0.95
DECAY = 0.95
"""Of the running mean of G G^T."""
READOUT_STEP = 1e-2
BLOCK = 32
LEAST = 1e-6
"""Of an eigenvalue, as a share of the largest."""


def shampoo(network: nn.Module, step: float) -> ConductanceOptimizer:
    r"""An optimizer that takes :math:`L^{-1/2} G` for the gradient of hidden synapses, scaled to a mean square of 1.

    Args:
        network: any.
        step: of the synapses, as a share of their mean at the start if all gradients agree.
    """
    optimizer = create_optimizer(network, "sgd", step, readout_lr=READOUT_STEP, momentum=MOMENTUM)
    kinds = {id(synapses.parameter): synapses.kinds for synapses in hidden_synapses(network)}
    sizes = {id(synapses.parameter): synapses.size for synapses in hidden_synapses(network)}
    for group in optimizer.param_groups:
        if group["rule"] == "sgd":
            group["scale"] = (1 - MOMENTUM) * sizes[id(group["params"][0])]
    means: dict[tuple[int, int], Tensor] = {}

    def precondition(*_: Any) -> None:
        for group in optimizer.param_groups:
            for parameter in group["params"] if group["rule"] == "sgd" else ():
                if parameter.grad is not None:
                    for place, piece in enumerate(_pieces(parameter.grad, kinds[id(parameter)])):
                        rows = piece.flatten(1)
                        key = id(parameter), place
                        means[key] = means.get(key, 0 * (rows @ rows.mT)).lerp(rows @ rows.mT, 1 - DECAY)
                        piece.copy_(preconditioned(rows, means[key]).view_as(piece))

    optimizer.register_step_pre_hook(precondition)
    return optimizer


def preconditioned(rows: Tensor, mean: Tensor) -> Tensor:
    """The rows times the inverse root of a mean of their products, the root mean square of the result 1."""
    values, vectors = torch.linalg.eigh(mean)
    inverse = values.clamp(min=LEAST * float(values[-1]) + torch.finfo(mean.dtype).tiny).rsqrt()
    step = (vectors * inverse) @ (vectors.mT @ rows)
    size: Tensor = step.square().mean().sqrt()
    return step / size.clamp(min=torch.finfo(step.dtype).tiny)


def _pieces(gradient: Tensor, kinds: tuple[int, ...] | None) -> Iterator[Tensor]:
    for along in gradient.split(kinds or gradient.shape[1], 1):
        yield from along.split(BLOCK)
