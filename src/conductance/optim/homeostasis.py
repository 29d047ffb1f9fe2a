"""Inhibitory plasticity: each unit keeps its inhibition as large as its excitation while the network learns."""

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from conductance.checked import checked
from conductance.errors import InputError
from conductance.nn import ConductanceLayer
from conductance.nonnegative import NONNEGATIVE
from conductance.optim.presynaptic import PresynapticRule
from conductance.optim.synapses import Synapses, hidden_synapses
from conductance.sharded import sharded_like, whole


class Homeostasis(PresynapticRule):
    r"""Scales each unit's inhibitory conductances towards balance after every step of an optimizer.

    With :math:`\bar p_j` the mean open probability of channel j over the last training batch (and its positions),

    .. math:: G_{ij} \leftarrow G_{ij} \left(\frac{\sum_{e_k > 0} G_{ik} e_k \bar p_k}
              {-\sum_{e_k < 0} G_{ik} e_k \bar p_k}\right)^{\eta} \quad \text{for } e_j < 0.

    The rule is local (a unit needs its own synapses and what they receive) and needs no labels, and it leaves no trace
    when training ends: there are no batch statistics at test time. It maintains the balance of `init.balance_`
    (inhibitory plasticity: Vogels et al. 2011, Science 334, 1569). A unit without excitation or without inhibition
    stays as it is, and so do layers whose conductances do not learn.

    Args:
        optimizer: the rule acts after each of its steps.
        model: any module; its conductance layers are watched while they are in training mode.
        rate: eta in (0, 1]; 1 balances each batch exactly, small rates follow the mean of about 1/eta batches.

    Raises:
        InputError: the rate is out of range, or the conductances of a layer are computed from another parameter (by a
            parametrization; pruning is allowed).
    """

    @checked
    def __init__(self, optimizer: Optimizer, model: nn.Module, rate: float) -> None:
        if not 0 < rate <= 1:
            raise InputError(f"rate={rate}: homeostasis needs a rate in (0, 1]")
        self.rate = rate
        layers = [synapses for synapses in hidden_synapses(model) if isinstance(synapses.layer, ConductanceLayer)]
        for synapses in layers:
            if synapses.is_reparametrized:
                raise InputError(
                    f"the conductances of {synapses.layer} are computed from {synapses.name}, so homeostasis cannot "
                    "set them; remove the parametrization"
                )
        super().__init__(layers, optimizer.register_step_post_hook)

    def _act(self, synapses: Synapses, p: Tensor) -> None:
        layer, parameter = synapses.layer, synapses.parameter
        assert isinstance(layer, ConductanceLayer)
        form, g = NONNEGATIVE[layer.nonnegative], whole(parameter)
        G = form.conductance(g)
        if synapses.mask is not None:
            G = G * whole(synapses.mask)
        factor = _towards_balance(layer, G, p, self.rate)
        changed = (layer.presynaptic.per_synapse(G) < 0) & (factor != 1) & (G > 0)
        parameter.copy_(sharded_like(torch.where(changed, form.parameter(G * factor), g), parameter))


def _towards_balance(layer: ConductanceLayer, G: Tensor, p: Tensor, rate: float) -> Tensor:
    """What each unit's inhibitory conductances are multiplied by, in a shape that broadcasts to ``G``."""
    drive = G * layer.presynaptic.per_synapse(G) * p
    excitation, inhibition = drive.clamp(min=0).flatten(1).sum(1), -drive.clamp(max=0).flatten(1).sum(1)
    factor = torch.where((excitation > 0) & (inhibition > 0), (excitation / inhibition) ** rate, 1.0)
    return factor.view(-1, *(1,) * (G.ndim - 1))
