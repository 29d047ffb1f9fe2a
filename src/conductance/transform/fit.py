"""Conductances of a converted network: valences on which all readers agree, and a start balanced on the example."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from conductance.init import balance_
from conductance.nn.conductance import ConductanceLayer
from conductance.nn.inputs import ScaledInput
from conductance.nn.units import Reading, read_valences
from conductance.ranges import extent


def agree_on_valences(model: nn.Module, example: Any, layers: Iterable[ConductanceLayer]) -> list[ConductanceLayer]:
    """Have each layer read every unit as what it is.

    Where a layer would so be given only excitatory or only inhibitory units (a grouped convolution), the two kinds
    alternate in the whole network.

    Returns:
        Layers that need a doubled input: a channel comes from data, from an affine layer or from units of both kinds,
        or all are of one kind.
    """
    layers = list(layers)
    readings = _readings(model, example, layers)
    if any(not _is_mixed(each) and _is_one_sided(each.layer, each.valence) for each in readings):
        for layer in layers:
            layer.set_unit_valence(alternating(layer.out_channels))
        readings = _readings(model, example, layers)
    unfit = []
    for reading in readings:
        layer = reading.layer
        if layer.doubled_input:
            continue
        if _is_mixed(reading) or _is_one_sided(layer, reading.valence):
            unfit.append(layer)
        elif reading.disagreeing:
            layer.set_valence(reading.valence)
            layer.reset_parameters()
    return unfit


def alternating(units: int) -> Tensor:
    """+1, -1, +1, ...: any run of units has both kinds."""
    return 1.0 - 2.0 * (torch.arange(units) % 2)


def _readings(model: nn.Module, example: Any, layers: list[ConductanceLayer]) -> list[Reading]:
    return [each for each in read_valences(model, example) if any(each.layer is layer for layer in layers)]


def _is_mixed(reading: Reading) -> bool:
    return bool(reading.mixed) or bool(reading.valence.isnan().any())


def _is_one_sided(layer: ConductanceLayer, valence: Tensor) -> bool:
    """Whether units of a group would have excitatory synapses alone, or inhibitory ones alone."""
    by_group = valence.view(layer.groups, -1)
    return bool(((by_group > 0).all(1) | (by_group < 0).all(1)).any()) and not layer.doubled_input


def agree_in_turn(layers: Iterable[ConductanceLayer]) -> list[ConductanceLayer]:
    """`agree_on_valences` where each layer is known to read the one before it alone, and the first one data."""
    before: ConductanceLayer | None = None
    unfit = []
    for layer in layers:
        times, left = divmod(layer.in_channels, before.out_channels) if before is not None else (0, 0)
        valence = before.unit_valence.repeat_interleave(times) if before is not None and not left else None
        if layer.doubled_input:
            pass
        elif valence is None or _is_one_sided(layer, valence):
            unfit.append(layer)
        else:
            layer.set_valence(valence)
            layer.reset_parameters()
        before = layer
    return unfit


def start_on(model: nn.Module, example: Any, layers: Iterable[ConductanceLayer], scaled: Iterable[ScaledInput]) -> None:
    """Balance layers on an example, each on what the balanced layers before it return; and set scales as they run.

    Args:
        model: which has them.
        example: its input.
        layers: to be balanced.
        scaled: whose scale is not known from the structure: it becomes the largest size of what they are given.
    """
    seen: dict[int, float] = {}

    def measure(module: nn.Module, args: tuple[Any, ...]) -> None:
        assert isinstance(module, ScaledInput)
        low, high = extent(args[0])
        seen[id(module)] = max(abs(low), abs(high), seen.get(id(module), 0.0))
        module.scale.fill_(seen[id(module)] or 1.0)

    handles = [module.register_forward_pre_hook(measure) for module in scaled]
    try:
        balance_(model, example, layers=set(layers))
    finally:
        for handle in handles:
            handle.remove()


@torch.no_grad()
def scale_to_affine(layer: ConductanceLayer, leak: bool) -> None:
    """Give a layer's conductances the mean size of the weights with which torch starts an affine layer.

    z does not depend on the scale of all conductances. But an optimizer's steps do not depend on it either, so that
    with this one the learning rates of affine networks fit.

    Args:
        layer: with conductances of any scale.
        leak: whether the leak is scaled along; without it, it is as the user gave it.
    """
    factor = 1 / (2 * layer.fan_in**0.5) / layer.conductance.mean()
    layer.set_conductance(layer.conductance * factor)
    if leak:
        layer.leak.set_conductance(layer.leak.conductance * factor)
