"""Centered gradients: a step changes what units tell apart, not how much they receive on average."""

from collections.abc import Iterator
from math import sqrt
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from conductance.checked import checked
from conductance.errors import InputError
from conductance.nn import ConductanceLayer
from conductance.optim.presynaptic import PresynapticRule
from conductance.optim.synapses import Synapses, hidden_synapses
from conductance.sharded import sharded_like, whole


class Centering(PresynapticRule):
    r"""Removes from each gradient, before every step, what would move a unit's mean excitation or mean inhibition.

    With :math:`\bar p_j` the mean open probability of channel j since the last step, separately for the excitatory and
    the inhibitory synapses of each unit,

    .. math:: \nabla_{ij} \leftarrow \nabla_{ij} - \bar p_j \frac{\sum_k \nabla_{ik} \bar p_k}{\sum_k \bar p_k^2}.

    All activities are positive, so their mean is by far the largest direction in what a layer receives. The gradient's
    component along it moves all of a unit's synapses of one kind together: its mean E against its mean I, and with them
    the fraction of inputs for which the unit is open. A few such steps, taken by a whole layer, open or close it for
    good. The rest of the gradient keeps both means where they are; thresholds are learned by the leaks
    (``learn_resting``) or biases. (BatchNorm, which subtracts each unit's mean, gives such gradients by itself.)

    A graded valence contributes to both means, and the gradient is made orthogonal to both. Synapses that reach 0 move
    the means a little all the same. The rule holds for plain gradients; momentum (muon, sgd) is a mean of such
    gradients, Adam's steps follow it in sign only. Layers with signed weights have one mean, that of all their inputs.
    The interneurons' feedback (`nn.LateralLinear`) is left as it is.

    Args:
        optimizer: the rule acts before each of its steps, or, if a step is given a closure, after each call of it.
        model: any module; the layers of `hidden_synapses` are watched while they are in training mode. A model that is
            to be compiled is compiled, or at least run, after this.
        readout: as for `create_optimizer`.
        example: as for `create_optimizer`.

    Raises:
        InputError: the synapses of a hidden layer are computed from another parameter (weight_norm, spectral_norm or
            another parametrization; pruning is allowed).
    """

    @checked
    def __init__(
        self, optimizer: Optimizer, model: nn.Module, *, readout: nn.Module | str | None = None, example: Any = None
    ) -> None:
        layers = hidden_synapses(model, readout=readout, example=example)
        for synapses in layers:
            if synapses.is_reparametrized:
                raise InputError(
                    f"the weights of {synapses.layer} are computed from {synapses.name}, so its gradients cannot be "
                    "centered; leave out centered=True, or the parametrization"
                )
        super().__init__(layers, optimizer.register_step_pre_hook)

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
        if synapses.parameter.grad is None:
            return
        gradient = whole(synapses.parameter.grad)
        if synapses.mask is not None:
            p = p * whole(synapses.mask)
        for part, mean in _means(synapses, gradient, p):
            _remove_(part, mean)
        if gradient is not synapses.parameter.grad:
            synapses.parameter.grad.copy_(sharded_like(gradient, synapses.parameter.grad))


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
        total = inhibition.flatten(1).norm(dim=1)
        _remove_(inhibition, excitation)
        # with a single valence, both means have one direction: nothing is left of the second but rounding errors
        rounding = inhibition.flatten(1).norm(dim=1) <= sqrt(torch.finfo(p.dtype).eps) * total
        yield gradient, inhibition.masked_fill(rounding.view(-1, *(1,) * (p.ndim - 1)), 0)


def _remove_(gradient: Tensor, mean: Tensor) -> None:
    """The component of each unit's gradient (units, channels, *kernel) along ``mean``, which broadcasts to it."""
    axes = tuple(range(1, gradient.ndim))
    square = mean.square().sum(axes, keepdim=True) * (gradient[0].numel() / mean[0].numel())
    along = (gradient.sum_to_size(gradient.shape[0], *mean.shape[1:]) * mean).sum(axes, keepdim=True)
    gradient.addcmul_(along / square.clamp(min=torch.finfo(square.dtype).tiny), mean, value=-1)
