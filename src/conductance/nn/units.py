"""What each unit is, and whether all that read it agree: valence belongs to the neuron (Dale's law)."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from conductance.checked import checked
from conductance.errors import InputError
from conductance.nn.base import AveragingLayer
from conductance.nn.conductance import ConductanceLayer
from conductance.nn.modes import evaluating, require_module, run_example
from conductance.valence import excitatory_first

# What hands on each channel as it is, as far as its valence goes.
_TRANSPARENT = (
    nn.modules.batchnorm._NormBase,
    nn.LayerNorm,
    nn.GroupNorm,
    nn.LocalResponseNorm,
    nn.RMSNorm,
    nn.modules.dropout._DropoutNd,
)
_MIXING_ACTIVATION = nn.MultiheadAttention
# What makes units of its own, of signed weights: they have no valence.
_AFFINE = (nn.Linear, nn.modules.conv._ConvNd, nn.Embedding, nn.RNNBase, nn.Bilinear)


@dataclass
class Reading:
    """What reaches one conductance layer's presynaptic channels.

    Attributes:
        name: of the layer in its model.
        layer: the layer.
        sources: for each valence that any unit has, which channels such units reach, (channels,) bool.
    """

    name: str
    layer: ConductanceLayer
    sources: dict[float, Tensor] = field(default_factory=dict)

    @property
    def mixed(self) -> list[int]:
        """Channels that units of several valences reach, in a sum or mean for example."""
        if not self.sources:
            return []
        return (torch.stack(list(self.sources.values())).sum(0) > 1).nonzero().flatten().tolist()

    @property
    def valence(self) -> Tensor:
        """The valence of the units behind each channel, (channels,) float64; NaN where no conductance unit is."""
        values = torch.full((self.layer.in_channels,), float("nan"), dtype=torch.float64)
        for valence, reached in self.sources.items():
            values[reached] = valence
        return values

    @property
    def disagreeing(self) -> list[int]:
        """Channels that the layer reads as something else than their units are; none for a doubled input."""
        if self.layer.doubled_input:
            return []
        sent, read = self.valence, self.layer.presynaptic.values.double().cpu()
        return (~sent.isnan() & (sent - read).abs().gt(1e-3)).nonzero().flatten().tolist()


@checked
@torch.no_grad()
def read_valences(model: nn.Module, example: Any) -> list[Reading]:
    """Which units each conductance layer of a model reads, by the flow of data on one example.

    Every unit of one valence is set to send 1 and all others 0, valence by valence, and what arrives at each layer is
    compared with what arrives when all send 0. So sums, concatenations, flattening, chunks, pooling and any other
    operation of the model count as they are; nothing depends on the order in which layers were defined.

    Args:
        model: any module with conductance layers; it is run in evaluation mode and left as it was.
        example: input of the model, see `modes.call`; one sample is enough.
    """
    require_module(model)
    layers = {module: name for name, module in model.named_modules() if isinstance(module, ConductanceLayer)}
    readings = {layer: Reading(name, layer) for layer, name in layers.items()}
    silence = _received(model, example, None)
    for valence in sorted({value for layer in layers for value in layer.unit_valence.tolist()}, reverse=True):
        for layer, inputs in _received(model, example, valence).items():
            reached = [_differs(layer, a, b) for a, b in zip(inputs, silence[layer], strict=True)]
            if reached:  # the layer runs, and takes part by itself
                readings[layer].sources[valence] = torch.stack(reached).any(0)
    return list(readings.values())


@checked
def assign_valences(model: nn.Module, example: Any, *, excitatory_share: float | None = None) -> None:
    """Have every layer that reads a unit agree on what it is: excitatory or inhibitory, or anything between.

    What a unit is, its own layer says (``unit_valence``). Layers that read it, directly or through anything else, take
    its valence; what is no conductance unit (data, affine units) keeps the valence that the reading layer gave it, and
    so does a doubled input. A layer whose valences change draws its conductances anew, for they were balanced for the
    old ones; so do this before anything is trained.

    Args:
        model: any module with conductance layers.
        example: input of the model, see `modes.call`; one sample is enough.
        excitatory_share: of the units of each layer, in [0, 1], the first ones; as the layers say by default.

    Raises:
        InputError: a channel is a sum or mean of units of several valences, so that no valence is true of it.
    """
    if excitatory_share is not None:
        for layer in model.modules():
            if isinstance(layer, ConductanceLayer):
                layer.set_unit_valence(excitatory_first(layer.out_channels, excitatory_share))
    readings = read_valences(model, example)
    for reading in readings:
        if reading.mixed:
            raise InputError(
                f"{reading.name}: its input channel {reading.mixed[0]} (of {len(reading.mixed)} such channels) comes "
                "from excitatory and from inhibitory units at once; give the layers that are added together the same "
                "unit_valence"
            )
    for reading in readings:
        if reading.disagreeing:
            sent, read = reading.valence, reading.layer.presynaptic.values.double().cpu()
            reading.layer.set_valence(torch.where(sent.isnan(), read, sent))
            reading.layer.reset_parameters()


# One pass with units that send what they are told ---------------------------------------------------------------------


def _received(model: nn.Module, example: Any, speaking: float | None) -> dict[ConductanceLayer, list[Tensor]]:
    """What each conductance layer receives when the units of valence ``speaking`` send 1, and all others 0."""
    received: dict[ConductanceLayer, list[Tensor]] = {
        module: [] for module in model.modules() if isinstance(module, ConductanceLayer)
    }
    with _units_sending(model, received, speaking), evaluating(model), torch.compiler.set_stance("force_eager"):
        run_example(model, example, "example")
    return received


@contextmanager
def _units_sending(
    model: nn.Module, received: dict[ConductanceLayer, list[Tensor]], speaking: float | None
) -> Iterator[None]:
    def look(layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        assert isinstance(layer, ConductanceLayer)
        received[layer].append(args[0] if args else kwargs["p"])

    def speak(layer: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        del args
        if isinstance(layer, ConductanceLayer) and layer.average:
            speaks = layer.unit_valence == speaking if speaking is not None else torch.zeros(layer.out_channels)
            along = (-1, *(1,) * (-1 - layer.channel_axis))
            sent = speaks.to(output.device, output.dtype).view(along).expand_as(output)
            return sent.clone()  # which the model may write into
        if isinstance(layer, ConductanceLayer):
            return None
        return torch.ones_like(output) if isinstance(output, Tensor) else None

    handles = []
    for module in model.modules():
        if isinstance(module, ConductanceLayer):
            handles.append(module.register_forward_pre_hook(look, with_kwargs=True))
        if isinstance(module, (AveragingLayer, *_AFFINE)):
            handles.append(module.register_forward_hook(speak))
        elif _is_transparent(module):
            handles.append(module.register_forward_hook(_hand_on))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _hand_on(module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
    del module, output
    return args[0]


def _is_transparent(module: nn.Module) -> bool:
    activation = type(module).__module__ == "torch.nn.modules.activation" and not isinstance(module, _MIXING_ACTIVATION)
    return activation or isinstance(module, _TRANSPARENT)


def _differs(layer: ConductanceLayer, a: Tensor, b: Tensor) -> Tensor:
    return (a != b).movedim(layer.channel_axis, 0).flatten(1).any(1).cpu()
