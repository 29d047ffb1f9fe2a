"""The right optimizer for a network, by one call."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from conductance.errors import InputError, UnknownNameError
from conductance.optim.centering import Centering
from conductance.optim.combined import CombinedOptimizer
from conductance.optim.exponentiated import ExponentiatedGradient
from conductance.optim.groups import Synapses, hidden_synapses
from conductance.optim.muon import Muon
from conductance.optim.projection import keep_nonnegative

Groups = list[dict[str, Any]]


def create_optimizer(
    model: nn.Module,
    name: str = "muon",
    learning_rate: float | None = None,
    *,
    readout_learning_rate: float = 3e-3,
    leak_learning_rate: float | None = None,
    momentum: float | None = None,
    block: int = 32,
    betas: tuple[float, float] = (0.9, 0.99),
    centered: bool = False,
) -> Optimizer:
    """An optimizer that treats synapses as synapses, and under which Dale's law holds after every step.

    The synapses of the hidden layers (conductances; in affine and AbsNorm networks the weights) move as ``name``
    says, each layer at the scale of its own conductances, so that one step size suits all layers:

    * ``muon``: by ``learning_rate`` times their mean, as a root mean square, along an orthogonal matrix (`Muon`);
    * ``adam``: each by about ``learning_rate`` times their mean;
    * ``sgd``: Nesterov momentum; step times fan-in times squared mean, as the gradient of an average falls with both;
    * ``eg``: multiplied, step times fan-in times mean (`ExponentiatedGradient`).

    Leaks, readout, biases and BatchNorm move by Adam. Projected conductances are clamped at 0 after each step. (A copy
    of any torch optimizer has lost what acts around its steps: make a new one for a copied model, and load its state.)

    Args:
        model: any module.
        name: see above.
        learning_rate: of the synapses; by default `LEARNING_RATES`, which suit conductances.
        readout_learning_rate: of everything else.
        leak_learning_rate: of the leaks that are learnt, as a share of the conductance that all synapses of a unit have
            together, so that a threshold moves as fast in a layer of many synapses; as the readout's by default.
        momentum: of muon, sgd and eg; 0.95, 0.9 and 0.9 by default.
        block: of muon: units of a layer that are made orthogonal together, at least 1.
        betas: of Adam, wherever it is used.
        centered: take from the synapses' gradients what would move a unit's mean excitation or inhibition
            (`Centering`).

    Raises:
        UnknownNameError: no such optimizer.
        InputError: ``eg`` for a network whose conductances are not ``projected``; a number out of range.
    """
    if name not in OPTIMIZERS:
        raise UnknownNameError("optimizer", name, OPTIMIZERS)
    rule = partial(_muon, block=block) if name == "muon" else OPTIMIZERS[name]
    learning_rate = LEARNING_RATES[name] if learning_rate is None else learning_rate
    _check_positive(
        learning_rate=learning_rate, readout_learning_rate=readout_learning_rate, leak_learning_rate=leak_learning_rate
    )
    if momentum is not None and not 0 <= momentum < 1:
        raise InputError(f"momentum={momentum}: must lie in [0, 1)")
    if block < 1:
        raise InputError(f"block={block}: at least one unit is made orthogonal at a time")
    hidden = hidden_synapses(model)
    synapses = [layer for layer in hidden if layer.parameter.requires_grad]
    leaks = list(_leak_groups(hidden, leak_learning_rate))
    taken = {id(p) for p in [layer.parameter for layer in synapses] + [p for group in leaks for p in group["params"]]}
    rest = [p for p in model.parameters() if p.requires_grad and id(p) not in taken]
    others = leaks + ([{"params": rest, "lr": readout_learning_rate}] if rest else [])
    optimizer = rule(synapses, others, learning_rate, momentum, betas)
    keep_nonnegative(optimizer, model)
    if centered:
        Centering(optimizer, model)
    return optimizer


def _leak_groups(synapses: Sequence[Synapses], share: float | None) -> Iterator[dict[str, Any]]:
    """Learnt leaks, each to move by ``share`` of what all synapses of a unit of its layer have together."""
    if share is not None:
        for layer in synapses:
            leak = layer.learnt_leak
            if leak is not None and leak.requires_grad:
                yield {"params": [leak], "lr": share * layer.fan_in * layer.size}


def _adam(
    synapses: Sequence[Synapses], others: Groups, lr: float, momentum: float | None, betas: tuple[float, float]
) -> Optimizer:
    if momentum is not None:
        raise InputError(f"momentum={momentum}: Adam has betas instead")
    layers = [{"params": [layer.parameter], "lr": lr * layer.size} for layer in synapses]
    return torch.optim.Adam([*layers, *others], betas=betas, fused=True)


def _muon(
    synapses: Sequence[Synapses],
    others: Groups,
    lr: float,
    momentum: float | None,
    betas: tuple[float, float],
    block: int = 32,
) -> Optimizer:
    layers = [{"params": [layer.parameter], "size": layer.size, "kinds": layer.kinds} for layer in synapses]
    mu = 0.95 if momentum is None else momentum
    return _beside_adam(layers and Muon(layers, lr, mu, block=block), others, betas)


def _sgd(
    synapses: Sequence[Synapses], others: Groups, lr: float, momentum: float | None, betas: tuple[float, float]
) -> Optimizer:
    layers = [{"params": [layer.parameter], "lr": lr * layer.fan_in * layer.size**2} for layer in synapses]
    mu = 0.9 if momentum is None else momentum
    return _beside_adam(layers and torch.optim.SGD(layers, lr, mu, dampening=0.0, nesterov=mu > 0), others, betas)


def _eg(
    synapses: Sequence[Synapses], others: Groups, lr: float, momentum: float | None, betas: tuple[float, float]
) -> Optimizer:
    if not all(layer.projected for layer in synapses):
        raise InputError("eg multiplies conductances themselves: build the network with nonnegative='projected'")
    layers = [{"params": [layer.parameter], "size": layer.fan_in * layer.size} for layer in synapses]
    mu = 0.9 if momentum is None else momentum
    return _beside_adam(layers and ExponentiatedGradient(layers, lr, mu), others, betas)


def _beside_adam(first: Any, others: Groups, betas: tuple[float, float]) -> Optimizer:
    parts = [first] if first else []
    if others:
        parts.append(torch.optim.Adam(others, betas=betas, fused=True))
    return CombinedOptimizer(parts)


def _check_positive(**steps: float | None) -> None:
    for name, step in steps.items():
        if step is not None and not 0 < step < float("inf"):
            raise InputError(f"{name}={step}: a step size must be positive and finite")


OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {"muon": _muon, "adam": _adam, "sgd": _sgd, "eg": _eg}
LEARNING_RATES = {"muon": 0.1, "adam": 0.1, "sgd": 0.1, "eg": 0.1}
