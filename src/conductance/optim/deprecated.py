"""What 0.1 had: `ConductanceOptimizer` has replaced several optimizers, and layers keep G >= 0 themselves.

All of it goes in 0.3.
"""

import warnings
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from conductance.optim.centering import Centering
from conductance.optim.optimizer import ConductanceOptimizer, RuleName

REPLACEMENTS = {
    "Centring": "optim.Centering",
    "Muon": "optim.ConductanceOptimizer(params, rule='muon', ...)",
    "ExponentiatedGradient": "optim.ConductanceOptimizer(params, rule='eg', ...)",
    "Together": "optim.ConductanceOptimizer with one parameter group for each rule",
    "LEARNING_RATES": "optim.create_optimizer(..., lr=None)",
    **dict.fromkeys(
        ("keep_nonnegative", "project_", "projected_parameters"),
        "any optimizer as it is: layers read max(g, 0) and need no projection",
    ),
}

Centring = Centering
LEARNING_RATES = {"muon": 0.1, "adam": 0.1, "sgd": 0.1, "eg": 0.1}


def find(name: str) -> Any:
    """The ``__getattr__`` of `conductance.optim`: names of 0.1, with a warning."""
    if name not in REPLACEMENTS:
        raise AttributeError(f"module 'conductance.optim' has no attribute {name!r}")
    warnings.warn(f"conductance.optim.{name} goes in 0.3; use {REPLACEMENTS[name]}", DeprecationWarning, stacklevel=3)
    return globals()[name]


def keep_nonnegative(optimizer: Optimizer, model: nn.Module) -> RemovableHandle:
    """Do nothing; return a handle that removes nothing."""
    del optimizer, model
    return RemovableHandle(OrderedDict())


def project_(model: nn.Module) -> None:
    """Do nothing."""


def projected_parameters(model: nn.Module) -> Iterator[nn.Parameter]:
    """No parameter is projected."""
    del model
    return iter(())


def Muon(
    params: Iterable[Any],
    lr: float = 0.1,
    momentum: float = 0.95,
    size: float = 1.0,
    block: int = 32,
    kinds: tuple[int, ...] | None = None,
) -> ConductanceOptimizer:
    """`ConductanceOptimizer` with the rule muon."""
    return _of_one_rule("muon", params, lr, momentum, size, block=block, kinds=kinds)


def ExponentiatedGradient(
    params: Iterable[Any], lr: float, momentum: float = 0.9, size: float = 1.0
) -> ConductanceOptimizer:
    """`ConductanceOptimizer` with the rule eg."""
    return _of_one_rule("eg", params, lr, momentum, size)


def _of_one_rule(
    rule: RuleName, params: Iterable[Any], lr: float, momentum: float, size: float, **options: Any
) -> ConductanceOptimizer:
    renamed = {"size": "scale"}
    groups: Any = [
        {renamed.get(key, key): value for key, value in group.items()} if isinstance(group, dict) else group
        for group in params
    ]
    return ConductanceOptimizer(groups, lr, rule=rule, betas=(momentum, 0.99), scale=size, **options)


class Together(Optimizer):
    """Several optimizers that step as one; its ``state_dict`` is no torch optimizer's."""

    def __init__(self, parts: Sequence[Optimizer]) -> None:
        self.parts = list(parts)
        super().__init__([group for part in self.parts for group in part.param_groups], {})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Take one step of each part."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for part in self.parts:
            part.step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        """The state of each part, in order."""
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load the state of each part, in order."""
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self.param_groups = [group for part in self.parts for group in part.param_groups]
