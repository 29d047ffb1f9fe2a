"""Which parameters of a network are the synapses of hidden layers, and the leaks beside them."""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor, nn

from conductance.init import conductance_layers
from conductance.nn import ConductanceLayer
from conductance.nn._conductance import Leak, SignedLayer


@dataclass(frozen=True)
class Synapses:
    """The synapses of one hidden layer, as one parameter (units, synapses of each unit, ...).

    Attributes:
        layer: the layer itself.
        parameter: what the optimiser moves.
        size: mean conductance (mean absolute weight, in layers that have signed ones).
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

    The readout is none of them: ``model.readout`` where there is one, else the last layer, if it is affine.
    """
    layers = list(_layers_with_synapses(model))
    readout = getattr(model, "readout", layers[-1] if layers else None)
    return [_synapses(layer) for layer in layers if layer is not readout or not isinstance(layer, _AFFINE)]


_AFFINE = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


def _layers_with_synapses(model: nn.Module) -> Iterator[nn.Module]:
    conductances = set(map(id, conductance_layers(model)))
    for module in model.modules():
        if id(module) in conductances or isinstance(module, (*_AFFINE, SignedLayer)):
            yield module


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
    return float(synapses.detach().abs().mean())
