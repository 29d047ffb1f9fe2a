"""Looking inside: what the conductance layers of a network do with a batch."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from conductance import functional
from conductance.nn._conductance import ConductanceLayer


@dataclass(frozen=True)
class Observation:
    """One layer's state on one batch.

    Attributes:
        name: the layer's name in the model.
        layer: the layer itself, with its ``conductance`` and ``valence``.
        excitation: E', the excitatory conductance open at each unit, leak included, (N, units, *positions).
        inhibition: I', likewise.
        z: membrane potentials in [-1, 1], same shape.
    """

    name: str
    layer: ConductanceLayer
    excitation: Tensor
    inhibition: Tensor
    z: Tensor

    @property
    def p(self) -> Tensor:
        """Open probabilities max(z, 0) in [0, 1]."""
        return self.z.clamp(min=0)


@torch.no_grad()
def observe(model: nn.Module, batch: Tensor) -> list[Observation]:
    """Run ``model`` on a batch and report every conductance layer, in the order in which they ran.

    Args:
        model: any module that contains conductance layers; it is run in evaluation mode and left as it was.
        batch: input of the model.
    """
    observations: list[Observation] = []
    handles = [
        module.register_forward_pre_hook(_observer(name, observations))
        for name, module in model.named_modules()
        if isinstance(module, ConductanceLayer)
    ]
    training = model.training
    model.eval()
    try:
        model(batch)
    finally:
        model.train(training)
        for handle in handles:
            handle.remove()
    return observations


def _observer(name: str, observations: list[Observation]) -> Callable[[nn.Module, tuple[Any, ...]], None]:
    def hook(layer: nn.Module, inputs: tuple[Any, ...]) -> None:
        assert isinstance(layer, ConductanceLayer)
        E, I = layer.excitation_inhibition(inputs[0])
        observations.append(Observation(name, layer, E, I, functional.membrane_potential(E, I)))

    return hook
