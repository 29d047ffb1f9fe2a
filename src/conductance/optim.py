"""Optimisers for conductance networks: Dale's law holds after every step."""

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from conductance.init import conductance_layers
from conductance.nn._conductance import Leak


def projected_parameters(model: nn.Module) -> Iterator[nn.Parameter]:
    """The parameters that are conductances themselves, and so must be clamped at 0."""
    for layer in conductance_layers(model):
        if layer.nonnegative == "projected":
            yield layer.g
    for module in model.modules():
        if isinstance(module, Leak) and module.form == "projected" and isinstance(module.pair, nn.Parameter):
            yield module.pair


def project_(model: nn.Module) -> None:
    """Clamp every projected conductance of ``model`` at 0. Unlike under h(g), a synapse at 0 can come back."""
    _clamp_(projected_parameters(model))


def keep_nonnegative(optimizer: Optimizer, model: nn.Module) -> RemovableHandle:
    """Have any torch optimiser clamp the projected conductances of ``model`` after each of its steps."""
    projected = list(projected_parameters(model))

    def project(*_: Any) -> None:
        _clamp_(projected)

    return optimizer.register_step_post_hook(project)


@torch.no_grad()
def _clamp_(parameters: Iterable[nn.Parameter]) -> None:
    tensors: list[torch.Tensor] = list(parameters)
    if tensors:
        torch._foreach_clamp_min_(tensors, 0)  # one launch on a GPU, not one for each


def adam(
    model: nn.Module,
    learning_rate: float,
    *,
    readout_learning_rate: float | None = None,
    betas: tuple[float, float] = (0.9, 0.99),
) -> torch.optim.Adam:
    """Adam (the paper's betas), with the projection attached.

    Args:
        model: any module.
        learning_rate: step of the conductances, and of everything else unless the next says otherwise. Adam moves
            each conductance by about this much per step, so it is to be read on the scale of G.
        readout_learning_rate: step of all other parameters (signed weights, biases, BatchNorm).
        betas: decay of the running means of gradient and squared gradient.
    """
    conductances = [p for layer in conductance_layers(model) for p in layer.parameters()]
    chosen = {id(p) for p in conductances}
    others = [p for p in model.parameters() if id(p) not in chosen]
    groups = [
        {"params": conductances, "lr": learning_rate},
        {"params": others, "lr": readout_learning_rate or learning_rate},
    ]
    optimizer = torch.optim.Adam([group for group in groups if group["params"]], betas=betas, fused=True)
    keep_nonnegative(optimizer, model)
    return optimizer
