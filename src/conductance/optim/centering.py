"""Gradients without their common mode: a step changes what units tell apart, not how much they receive on average."""

from collections.abc import Iterator
from math import sqrt
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from conductance.nn import ConductanceLayer
from conductance.optim.groups import Synapses, hidden_synapses
from conductance.optim.presynaptic import PresynapticRule


class Centering(PresynapticRule):
    r"""Takes out of each gradient, before every step, what would move a unit's mean excitation or mean inhibition.

    With :math:`\bar p_j` the mean open probability of channel j since the last step, separately for the excitatory and
    the inhibitory synapses of each unit,

    .. math:: \nabla_{ij} \leftarrow \nabla_{ij} - \bar p_j \frac{\sum_k \nabla_{ik} \bar p_k}{\sum_k \bar p_k^2}.

    All activities are positive, so their mean is by far the largest direction in what a layer receives. The gradient's
    part along it moves all of a unit's synapses of one kind together: its mean E against its mean I, and with them the
    share of inputs for which the unit is open. A few such steps, taken by a whole layer, open or close it for good.
    What is left of the gradient keeps both means where they are; thresholds are learnt by the leaks
    (``learn_resting``) or biases. (BatchNorm, which subtracts each unit's mean, gives such gradients by itself.)

    A graded valence adds to both means, and the gradient is made orthogonal to both. Synapses that the step would make
    negative are clamped, which moves the means a little after all. The rule holds for plain gradients; momentum
    (`Muon`, SGD) is a mean of such gradients, Adam's steps follow it in sign only. Layers with signed weights have one
    mean, that of all their inputs. What interneurons send back (`nn.LateralLinear`) is left as it is.

    Args:
        optimizer: before whose steps it acts; where a step is given a closure, after each of its calls.
        model: any module; the layers of `hidden_synapses` are watched while they are in training mode. A model that is
            to be compiled is compiled, or at least run, after this.
    """

    def __init__(self, optimizer: Optimizer, model: nn.Module) -> None:
        super().__init__(hidden_synapses(model), optimizer.register_step_pre_hook)

    def _at_step(self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        closure = args[1] if len(args) > 1 else kwargs.get("closure")
        if closure is None:
            self.step()
            return None

        def centered() -> Any:
            loss = closure()
            self.step()
            return loss

        return (optimizer, centered), {name: value for name, value in kwargs.items() if name != "closure"}

    def _act(self, synapses: Synapses, p: Tensor) -> None:
        gradient = synapses.parameter.grad
        if gradient is not None:
            for part, mean in _means(synapses, gradient, p):
                _take_out_(part, mean)


def _means(synapses: Synapses, gradient: Tensor, p: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Parts of a gradient, each with the direction along which it moves a mean; none moves the mean of another."""
    layer = synapses.layer
    if not isinstance(layer, ConductanceLayer):
        yield gradient, p
    elif synapses.kinds and set(layer.presynaptic.class_values) <= {1.0, -1.0}:
        yield from zip(gradient.split(synapses.kinds, 1), p.split(synapses.kinds, 1), strict=True)
    else:
        e = layer.presynaptic.per_synapse(gradient)
        excitation, inhibition = (1 + e) / 2 * p, (1 - e) / 2 * p
        yield gradient, excitation
        whole = inhibition.norm(dim=1, keepdim=True)
        _take_out_(inhibition, excitation)
        rounding = inhibition.norm(dim=1, keepdim=True) <= sqrt(torch.finfo(p.dtype).eps) * whole  # all of one valence
        yield gradient, inhibition.masked_fill(rounding, 0)


def _take_out_(gradient: Tensor, mean: Tensor) -> None:
    """The part of each unit's gradient (units, channels, *kernel) along ``mean`` (units or 1, channels, 1, ...)."""
    positions = gradient[0, 0].numel()
    per_channel = gradient.flatten(2).sum(2) if gradient.ndim > 2 else gradient
    direction = mean.flatten(1)
    square = positions * direction.square().sum(1, keepdim=True)
    share = (per_channel * direction).sum(1, keepdim=True) / square.clamp(min=torch.finfo(square.dtype).tiny)
    gradient.addcmul_(share.view(-1, *(1,) * (gradient.ndim - 1)), mean, value=-1)
