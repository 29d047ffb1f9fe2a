"""Looking inside: what the conductance layers of a network do with a batch."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from conductance import functional, kernels
from conductance.nn.base import ConductanceLayer
from conductance.nn.visit import visit_inputs


@dataclass(frozen=True)
class Observation:
    """One layer's state on one batch.

    Attributes:
        name: the layer's name in the model.
        layer: the layer itself, with its ``conductance`` and ``valence``.
        excitation: E', the excitatory conductance open at each unit, leak included, and what joins it from elsewhere
            (a shortcut's, the interneurons' after the last slice), (N, units, *positions).
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
        """Open probabilities in [0, 1]: max(z, 0), or what the layer's own gate makes of z.

        A layer without activation hands on z: what becomes of that behind it (BatchNorm, a residual sum) is not seen.
        """
        return self.z.clamp(min=0) if self.layer.gate is None else self.layer.gate(self.z)


@torch.no_grad()
def observe(model: nn.Module, batch: Tensor) -> list[Observation]:
    """Run ``model`` on a batch and report every conductance layer, in the order in which they ran.

    Args:
        model: any module that contains conductance layers; it is run in evaluation mode and left as it was.
        batch: input of the model.
    """
    observations: list[Observation] = []
    within: list[ConductanceLayer] = []  # its interneurons run once more when a layer is asked what it averages

    def look(name: str, layer: ConductanceLayer, p: Tensor, extra_conductances: Tensor | None) -> None:
        if not within:
            within.append(layer)
            E, I = kernels.dense(layer.averaged(p, extra_conductances), layer.channel_axis).chunk(2, layer.channel_axis)
            within.pop()
            observations.append(Observation(name, layer, E, I, functional.membrane_potential(E, I)))

    visit_inputs(model, batch, look)
    return observations
