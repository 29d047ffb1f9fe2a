"""Gradients without their common mode: a step changes what units tell apart, not how much they receive on average."""

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from conductance.optim.groups import Synapses, hidden_synapses
from conductance.optim.presynaptic import PresynapticRule


class Centring(PresynapticRule):
    r"""Takes out of each gradient, before every step, what would move a unit's mean excitation or mean inhibition.

    With :math:`\bar p_j` the mean open probability of channel j since the last step, separately for the excitatory and
    the inhibitory synapses of each unit,

    .. math:: \nabla_{ij} \leftarrow \nabla_{ij} - \bar p_j \frac{\sum_k \nabla_{ik} \bar p_k}{\sum_k \bar p_k^2}.

    All activities are positive, so their mean is by far the largest direction in what a layer receives. The gradient's
    part along it moves all of a unit's synapses of one kind together: its mean E against its mean I, and with them the
    share of inputs for which the unit is open. A few such steps, taken by a whole layer, open or close it for good.
    What is left of the gradient keeps both means where they are; thresholds are learnt by the leaks
    (``learn_resting``) or biases. (BatchNorm, which subtracts each unit's mean, gives such gradients by itself.)

    Synapses that the step would make negative are clamped, which moves the means a little after all. The rule holds
    for plain gradients; momentum (`Muon`, SGD) is a mean of such gradients, Adam's steps follow it in sign only.
    Layers with signed weights have one mean, that of all their inputs.

    Args:
        optimizer: before whose steps it acts.
        model: any module; the layers of `hidden_synapses` are watched while they are in training mode.
    """

    def __init__(self, optimizer: Optimizer, model: nn.Module) -> None:
        super().__init__(hidden_synapses(model), optimizer.register_step_pre_hook)

    def _act(self, synapses: Synapses, p: Tensor) -> None:
        gradient = synapses.parameter.grad
        if gradient is not None:
            kinds = synapses.kinds or gradient.shape[1]
            for along, mean in zip(gradient.split(kinds, 1), p.split(kinds, 1), strict=True):
                _take_out_(along, mean)


def _take_out_(gradient: Tensor, mean: Tensor) -> None:
    """The part of each unit's gradient (units, channels, *kernel) along ``mean`` (units or 1, channels, 1, ...)."""
    positions = gradient[0, 0].numel()
    per_channel = gradient.flatten(2).sum(2) if gradient.ndim > 2 else gradient
    direction = mean.flatten(1)
    square = positions * direction.square().sum(1, keepdim=True)
    share = (per_channel * direction).sum(1, keepdim=True) / square.clamp(min=torch.finfo(square.dtype).tiny)
    gradient.addcmul_(share.view(-1, *(1,) * (gradient.ndim - 1)), mean, value=-1)
