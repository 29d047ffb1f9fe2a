"""Inhibitory plasticity: each unit keeps its inhibition as large as its excitation while the network learns."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from conductance.errors import InputError
from conductance.init import conductance_layers
from conductance.nn import ConductanceLayer
from conductance.nonnegative import NONNEGATIVE


class Homeostasis:
    r"""Scales each unit's inhibitory conductances towards balance after every step of an optimiser.

    With :math:`\bar p_j` the mean open probability of channel j over the last training batch (and its positions),

    .. math:: G_{ij} \leftarrow G_{ij} \left(\frac{\sum_{e_k > 0} G_{ik} e_k \bar p_k}
              {-\sum_{e_k < 0} G_{ik} e_k \bar p_k}\right)^{\eta} \quad \text{for } e_j < 0.

    The rule is local (a unit needs its own synapses and what they receive), needs no labels, and nothing of it is left
    when training ends: there are no batch statistics at test time. It is the balance of `init.balance_` kept up
    (inhibitory plasticity: Vogels et al. 2011, Science 334, 1569). In convolutions the zeros of the padding are not
    counted. A unit without excitation or without inhibition is left as it is.

    Args:
        optimizer: after whose steps it acts.
        model: any module; its conductance layers are watched while they are in training mode.
        rate: eta in (0, 1]; 1 balances each batch exactly, small rates follow the mean of about 1/eta batches.

    Raises:
        InputError: a rate out of range.
    """

    def __init__(self, optimizer: Optimizer, model: nn.Module, rate: float) -> None:
        if not 0 < rate <= 1:
            raise InputError(f"rate={rate}: homeostasis needs a rate in (0, 1]")
        self.rate = rate
        self._received: dict[ConductanceLayer, Tensor] = {}
        self._handles = [layer.register_forward_pre_hook(self._watch) for layer in conductance_layers(model)]
        self._handles.append(optimizer.register_step_post_hook(lambda *_: self.step()))

    def remove(self) -> None:
        """Let go of optimiser and model."""
        for handle in self._handles:
            handle.remove()

    def _watch(self, layer: nn.Module, inputs: tuple[Any, ...]) -> None:
        if layer.training:
            assert isinstance(layer, ConductanceLayer)
            channels_last = inputs[0].detach().movedim(layer.channel_axis, -1)
            self._received[layer] = channels_last.flatten(0, -2).mean(0, dtype=layer.g.dtype)

    @torch.no_grad()
    def step(self) -> None:
        """Act on what the layers received since the last step."""
        for layer, p in self._received.items():
            _scale_inhibition(layer, p, self.rate)
        self._received.clear()


def _scale_inhibition(layer: ConductanceLayer, p: Tensor, rate: float) -> None:
    G = layer.conductance
    drive = G * layer.presynaptic.per_synapse(G) * _at_synapses(p, layer)
    excitation, inhibition = drive.clamp(min=0).flatten(1).sum(1), -drive.clamp(max=0).flatten(1).sum(1)
    factor = torch.where((excitation > 0) & (inhibition > 0), (excitation / inhibition) ** rate, 1.0)
    inhibitory = layer.presynaptic.per_synapse(G) < 0
    scaled = torch.where(inhibitory, G * factor.view(-1, *(1,) * (G.ndim - 1)), G)
    layer.g.copy_(NONNEGATIVE[layer.nonnegative].parameter(scaled))


def _at_synapses(p: Tensor, layer: ConductanceLayer) -> Tensor:
    """Channel means (in,) as each unit's synapses see them: (out or 1, fan-in channels, 1, ...)."""
    per_group = p.view(layer.groups, -1)
    if layer.doubled_input:
        per_group = torch.cat([per_group, per_group], 1)
    per_unit = per_group.repeat_interleave(layer.out_channels // layer.groups, 0) if layer.groups > 1 else per_group
    return per_unit.view(*per_unit.shape, *(1,) * (layer.g.ndim - 2))
