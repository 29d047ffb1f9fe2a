"""Which parameters of a network are the synapses of hidden layers, and the leaks beside them."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

from torch import Tensor, nn

from conductance.nn import ConductanceLayer
from conductance.nn.base import Leak, SignedLayer


@dataclass(frozen=True)
class Synapses:
    """The synapses of one hidden layer, as one parameter (units, synapses of each unit, ...).

    Attributes:
        layer: the layer itself.
        parameter: what the optimizer moves.
        size: mean conductance (mean absolute weight, in layers that have signed ones); where all are 0, as in residual
            branches that begin closed, 1/sqrt(fan_in), so that a step leaves 0.
        fan_in: synapses of each unit.
        projected: whether the parameter is the conductance itself.
        kinds: presynaptic channels of each valence, one kind after the other; None where they do not lie so.
    """

    layer: nn.Module
    parameter: nn.Parameter
    size: float
    fan_in: int
    projected: bool
    kinds: tuple[int, ...] | None = None

    @property
    def learnt_leak(self) -> nn.Parameter | None:
        """The leak pair of the layer's units, if it has one that is learnt."""
        leak = getattr(self.layer, "leak", None)
        return leak.pair if isinstance(leak, Leak) and isinstance(leak.pair, nn.Parameter) else None


def hidden_synapses(model: nn.Module) -> list[Synapses]:
    """The synapses of each hidden layer: conductances, or the weights of affine and AbsNorm layers.

    The readout is none of them: the affine layers of ``model.readout`` where there is one (what wraps a model, as
    ``DataParallel`` does, is looked through), else the last layer, if it is affine. Layers that share a parameter count
    once.
    """
    layers = [module for module in model.modules() if isinstance(module, (*_AFFINE, ConductanceLayer, SignedLayer))]
    readout = _readout_layers(model, layers)
    hidden: dict[nn.Parameter, Synapses] = {}
    for layer in layers:
        if layer not in readout:
            synapses = _synapses(layer)
            hidden.setdefault(synapses.parameter, synapses)
    return list(hidden.values())


_AFFINE = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


def _readout_layers(model: nn.Module, layers: Sequence[nn.Module]) -> set[nn.Module]:
    while not hasattr(model, "readout") and isinstance(getattr(model, "module", None), nn.Module):
        model = model.get_submodule("module")
    readout = getattr(model, "readout", None)
    candidates = readout.modules() if isinstance(readout, nn.Module) else layers[-1:]
    return {layer for layer in candidates if isinstance(layer, _AFFINE)}


def _synapses(layer: nn.Module) -> Synapses:
    if not isinstance(layer, ConductanceLayer):
        weight = layer.get_parameter("weight")
        return Synapses(layer, weight, _mean_size(weight), weight[0].numel(), projected=False)
    projected = layer.nonnegative == "projected"
    return Synapses(layer, layer.g, _mean_size(layer.conductance), layer.g[0].numel(), projected, _kinds(layer))


def _kinds(layer: ConductanceLayer) -> tuple[int, ...] | None:
    presynaptic = layer.presynaptic
    if presynaptic.is_default_pair:
        return (layer.g.shape[1] // 2,) * 2
    sizes, order = presynaptic.class_sizes, presynaptic.fan_in_order
    in_order = order is None or bool((order.diff() > 0).all())  # in each group, that is
    return sizes if len(sizes) > 1 and in_order else None


def _mean_size(synapses: Tensor) -> float:
    return float(synapses.detach().abs().mean()) or 1 / sqrt(synapses[0].numel())
