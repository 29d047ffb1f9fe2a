"""Which parameters of a network are the synapses of hidden layers, and the leaks beside them."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt
from typing import Any

import torch
from torch import Tensor, nn

from conductance.checked import checked
from conductance.nn import ConductanceLayer, Leak
from conductance.nn.modes import evaluating
from conductance.optim.readout import LAYERS, readout_layers
from conductance.sharded import refuse_flattened, reshard, whole


@dataclass(frozen=True)
class Synapses:
    """The synapses of one hidden layer, as one parameter (units, synapses of each unit, ...).

    Attributes:
        layer: the layer itself.
        name: of the parameter in the layer: ``g`` or ``weight``, or what that is computed from in pruned and
            parametrized layers.
        size: mean conductance (mean absolute weight, in layers with signed ones) of the synapses that there are;
            where all are 0, as in residual branches that start closed, 1/sqrt(fan_in), so that a step leaves 0.
        fan_in: synapses of each unit, in the mean where units have different numbers.
        kinds: presynaptic channels of each valence, if those of one valence are adjacent; otherwise None.
    """

    layer: nn.Module
    name: str
    size: float
    fan_in: int
    kinds: tuple[int, ...] | None = None

    @property
    def parameter(self) -> nn.Parameter:
        """What the optimizer moves."""
        return self.layer.get_parameter(self.name)

    @property
    def mask(self) -> Tensor | None:
        """Nonzero for synapses that there are and that are not pruned; None if all are there."""
        exists = self.layer.synapse_mask if isinstance(self.layer, ConductanceLayer) else None
        pruned = self._pruning
        if exists is None or pruned is None:
            return pruned if exists is None else exists
        return exists * pruned

    @property
    def _pruning(self) -> Tensor | None:
        name = self.name.removesuffix("_orig")
        return getattr(self.layer, f"{name}_mask", None) if name != self.name else None

    @property
    def is_reparametrized(self) -> bool:
        """Whether the synapses are computed from the parameter in another way than by pruning."""
        return self.name not in ("g", "weight") and self._pruning is None

    @property
    def are_conductances(self) -> bool:
        """Whether the parameter holds conductances, which may be multiplied."""
        form = getattr(self.layer, "nonnegative", None)
        return form == "clamped" and not self.is_reparametrized

    @property
    def learned_leak(self) -> nn.Parameter | None:
        """The leak pair of the layer's units, if it has one that is learned."""
        leak = getattr(self.layer, "leak", None)
        return leak.pair if isinstance(leak, Leak) and isinstance(leak.pair, nn.Parameter) else None


@checked
def hidden_synapses(model: nn.Module, *, readout: nn.Module | str | None = None, example: Any = None) -> list[Synapses]:
    """The synapses of each hidden layer: conductances, or the weights of affine and AbsNorm layers.

    Layers that share a parameter count once. A layer whose synapses are computed from parameters of another shape (a
    product of two smaller matrices, say) is left out.

    Args:
        model: any module.
        readout: the readout, which is no hidden layer: a module of ``model``, or its name. See
            `readout.readout_layers` for what is taken if it is left out.
        example: an input of the model, to find the readout by the data flow.

    Raises:
        InputError: ``readout`` is no module of ``model``, the readout cannot be found in the data flow, or the model is
            wrapped in ``FullyShardedDataParallel``, which flattens parameters.
    """
    refuse_flattened(model)
    reshard(model)
    outside = readout_layers(model, readout, example)
    hidden: dict[nn.Parameter, Synapses] = {}
    for layer in model.modules():
        if isinstance(layer, LAYERS) and layer not in outside:
            synapses = _synapses(layer)
            if synapses is not None:
                hidden.setdefault(synapses.parameter, synapses)
    return list(hidden.values())


@torch.no_grad()
def _synapses(layer: nn.Module) -> Synapses | None:
    with evaluating(layer):  # spectral_norm takes a step of its own in training mode
        used = getattr(layer, "g" if isinstance(layer, ConductanceLayer) else "weight")
        name = _parameter_name(layer, used)
        if name is None:
            return None
        fan_in = layer.fan_in if isinstance(layer, ConductanceLayer) else used[0].numel()
        found = Synapses(layer, name, 0.0, fan_in)
        typical = layer.get_parameter(name) if found.is_reparametrized else _strength(layer)
        kinds = _kinds(layer) if isinstance(layer, ConductanceLayer) else None
        return Synapses(layer, name, _mean_size(whole(typical), found.mask), found.fan_in, kinds)


def _parameter_name(layer: nn.Module, used: Tensor) -> str | None:
    """The parameter of the shape of ``used`` from which it is computed, or which it is."""
    own = dict(layer.named_parameters(remove_duplicate=False))
    return next((name for name in _possible_names(layer) if name in own and own[name].shape == used.shape), None)


def _possible_names(layer: nn.Module) -> Iterator[str]:
    """Where torch's pruning, weight_norm and spectral_norm (both kinds) and parametrizations keep the original."""
    name = "g" if isinstance(layer, ConductanceLayer) else "weight"
    yield from (name, f"{name}_orig", f"{name}_v")
    for original in ("original", "original1", "original0"):
        yield f"parametrizations.{name}.{original}"


def _strength(layer: nn.Module) -> Tensor:
    return layer.conductance if isinstance(layer, ConductanceLayer) else layer.weight  # type: ignore[return-value]


def _mean_size(synapses: Tensor, mask: Tensor | None) -> float:
    left = synapses if mask is None else synapses[whole(mask) != 0]
    if left.is_meta:  # nobody knows yet, and nothing will be learnt
        return 1.0
    mean = float(left.abs().mean()) if left.numel() else 0.0
    return mean or 1 / sqrt(synapses[0].numel())


def _kinds(layer: ConductanceLayer) -> tuple[int, ...] | None:
    presynaptic = layer.presynaptic
    if presynaptic.is_default_pair:
        return (layer.g.shape[1] // 2,) * 2
    sizes, order = presynaptic.class_sizes, presynaptic.fan_in_order
    in_order = order is None or bool((order.diff() > 0).all())  # in each group, that is
    return sizes if len(sizes) > 1 and in_order else None
