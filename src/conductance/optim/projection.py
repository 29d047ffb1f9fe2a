"""Dale's law after every step: conductances that are parameters themselves are clamped at 0."""

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from conductance.init import conductance_layers
from conductance.nn import Leak


def projected_parameters(model: nn.Module) -> Iterator[nn.Parameter]:
    """The parameters that are conductances themselves, and so must be clamped at 0."""
    for layer in conductance_layers(model):
        if layer.nonnegative == "clamped":
            yield layer.g
    for module in model.modules():
        if isinstance(module, Leak) and module.form == "clamped" and isinstance(module.pair, nn.Parameter):
            yield module.pair


def project_(model: nn.Module) -> None:
    """Clamp every projected conductance of ``model`` at 0. Unlike under h(g), a synapse at 0 can come back."""
    _clamp_(projected_parameters(model))


def keep_nonnegative(optimizer: Optimizer, model: nn.Module) -> RemovableHandle:
    """Have any torch optimizer clamp the projected conductances of ``model`` after each of its steps."""
    projected = list(projected_parameters(model))

    def project(*_: Any) -> None:
        _clamp_(projected)

    return optimizer.register_step_post_hook(project)


@torch.no_grad()
def _clamp_(parameters: Iterable[nn.Parameter]) -> None:
    tensors: list[torch.Tensor] = list(parameters)
    if tensors:
        torch._foreach_clamp_min_(tensors, 0)  # one launch on a GPU, not one for each
