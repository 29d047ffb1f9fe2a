"""Inhibitory plasticity: each unit keeps its inhibition as large as its excitation while the network learns."""

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from conductance.errors import InputError
from conductance.nn import ConductanceLayer
from conductance.nonnegative import NONNEGATIVE
from conductance.optim.groups import Synapses, hidden_synapses
from conductance.optim.presynaptic import PresynapticRule


class Homeostasis(PresynapticRule):
    r"""Scales each unit's inhibitory conductances towards balance after every step of an optimizer.

    With :math:`\bar p_j` the mean open probability of channel j over the last training batch (and its positions),

    .. math:: G_{ij} \leftarrow G_{ij} \left(\frac{\sum_{e_k > 0} G_{ik} e_k \bar p_k}
              {-\sum_{e_k < 0} G_{ik} e_k \bar p_k}\right)^{\eta} \quad \text{for } e_j < 0.

    The rule is local (a unit needs its own synapses and what they receive), needs no labels, and nothing of it is left
    when training ends: there are no batch statistics at test time. It is the balance of `init.balance_` kept up
    (inhibitory plasticity: Vogels et al. 2011, Science 334, 1569). A unit without excitation or without inhibition is
    left as it is, and so are layers whose conductances are not to learn.

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
        layers = (layer for layer in hidden_synapses(model) if isinstance(layer.layer, ConductanceLayer))
        super().__init__(layers, optimizer.register_step_post_hook)

    def _act(self, synapses: Synapses, p: Tensor) -> None:
        assert isinstance(synapses.layer, ConductanceLayer)
        _scale_inhibition(synapses.layer, p, self.rate)


def _scale_inhibition(layer: ConductanceLayer, p: Tensor, rate: float) -> None:
    G = layer.conductance
    drive = G * layer.presynaptic.per_synapse(G) * p
    excitation, inhibition = drive.clamp(min=0).flatten(1).sum(1), -drive.clamp(max=0).flatten(1).sum(1)
    factor = torch.where((excitation > 0) & (inhibition > 0), (excitation / inhibition) ** rate, 1.0)
    factor = factor.view(-1, *(1,) * (G.ndim - 1))
    changed = (layer.presynaptic.per_synapse(G) < 0) & (factor != 1)
    layer.g.copy_(torch.where(changed, NONNEGATIVE[layer.nonnegative].parameter(G * factor), layer.g))
