"""The state of every conductance layer of a network on a batch."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from conductance import functional
from conductance.checked import checked
from conductance.nn import ConductanceLayer
from conductance.nn.visit import visit_inputs


@dataclass(frozen=True)
class Observation:
    """One layer's state on one batch.

    Attributes:
        name: the layer's name in the model.
        layer: the layer itself, with its ``conductance`` and ``valence``.
        excitation: E', the excitatory conductance open at each unit, ``(N, units, *positions)``: its synapses', its
            leak's and that of all else that joins its average (a shortcut, or interneurons after the last slice).
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
        """Open probabilities in [0, 1]: max(z, 0), or the output of the layer's own gate.

        A layer without activation returns z; modules behind it, BatchNorm for example, are not taken into account.
        """
        return self.z.clamp(min=0) if self.layer.gate is None else self.layer.gate(self.z)


@checked
@torch.no_grad()
def observe(model: nn.Module, batch: Any) -> list[Observation]:
    """Run a model on a batch and report the state of every conductance layer, in the order in which they ran.

    Args:
        model: any module that contains conductance layers; it is run in evaluation mode and left as it was. A compiled
            model is run uncompiled.
        batch: the model's input: a tensor or a numpy array; a tuple or list of them for a model with several inputs;
            or a dictionary from names of arguments to them.

    Raises:
        InputError: the model does not take the batch; a layer is given a negative value or NaN, or the first one a
            value above 1.
    """
    observations: list[Observation] = []
    within: list[ConductanceLayer] = []  # a layer's interneurons run again while it is asked for what it averages

    def look(name: str, layer: ConductanceLayer, p: Tensor, extra_conductances: Tensor | None) -> None:
        if not within:
            within.append(layer)
            E, I = layer.excitation_inhibition(p, extra_conductances)
            within.pop()
            observations.append(Observation(name, layer, E, I, functional.membrane_potential(E, I)))

    visit_inputs(model, batch, look)
    return observations
