"""A trained network as coupled membranes: which of its layers are membranes, which are synapses between them."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from torch import Tensor, nn

from conductance.analysis import observe
from conductance.biophysics._checks import refuse_bad_conductance, refuse_bad_probability, refuse_where
from conductance.biophysics.layers import MembraneLayer, SynapseLayer
from conductance.biophysics.rescaling import DEFAULT_RANGE, PotentialRange
from conductance.errors import InputError
from conductance.kernels import SMALLEST_LEAK
from conductance.nn import ConductanceLayer, GapJunction, LateralConv2d, LateralLinear
from conductance.nn.held import HeldLayer
from conductance.nn.modes import as_tensors

CAPACITANCE = 200.0  # pF, with a leak of 10 nS the 20 ms of Vogels & Abbott (2005), J. Neurosci. 25:10786
TOTAL_CONDUCTANCE = 50.0  # nS


@dataclass(frozen=True)
class BiophysicalNetwork:
    """A trained network whose hidden units are membranes; see `to_biophysical`.

    The affine readout, where there is one, is no membrane: it has weights of either sign, no reversal potentials and
    no potential of its own. It reads the open probabilities of the last layer at every moment.

    Attributes:
        model: the network, as it was.
        layers: those of its conductance layers whose units are membranes, in the order in which it holds them. The
            interneurons of a layer with lateral inhibition are a layer of their own.
        synapses: those that are synapses onto the units of other layers and nothing else: with ``average=False``, and
            the feedback of interneurons.
    """

    model: nn.Module
    layers: tuple[MembraneLayer, ...]
    synapses: tuple[SynapseLayer, ...] = ()

    @cached_property
    def by_name(self) -> dict[str, MembraneLayer]:
        """The layers by their names in the network."""
        return {each.name: each for each in self.layers}

    def steady_state(self, images: Any) -> dict[str, Tensor]:
        """V in mV of every unit where nothing changes any more, by layer, ``(N, units, *positions)``: z of each layer.

        Args:
            images: the network's input, (N, ...), in [0, 1]: a tensor or a numpy array.

        Raises:
            InputError: an image lies outside [0, 1].
        """
        z = _observed(self.model, checked_images(self.model, images), self.by_name)
        return {each.name: each.potentials.to_millivolts(z[each.name].z) for each in self.layers}


def checked_images(model: nn.Module, images: Any) -> Tensor:
    """Images as a tensor of open probabilities.

    Raises:
        InputError: they are no tensor or array of numbers, or one lies outside [0, 1].
    """
    images = as_tensors(model, images)
    if not isinstance(images, Tensor):
        raise InputError(f"images are a {type(images).__name__}; give one tensor or numpy array, (N, ...)")
    refuse_bad_probability(images, "images")
    return images


def to_biophysical(
    model: nn.Module,
    potentials: PotentialRange = DEFAULT_RANGE,
    total_conductance: float = TOTAL_CONDUCTANCE,
    *,
    capacitance: float = CAPACITANCE,
    images: Any = None,
) -> BiophysicalNetwork:
    """Read a trained network as membranes in millivolts, nanosiemens and picofarads.

    A valence e of +1 becomes the reversal potential `potentials.maximum` (AMPA's by default), -1 becomes
    `potentials.minimum` (GABA-A's by default; -90 mV for GABA-B), others what lies between. Conductances of each
    layer are multiplied by one factor, which changes no steady state: they are given a size because C / G is a time.

    Conductances that join a layer's average from elsewhere are part of the network: those of a layer with
    ``average=False`` are synapses onto that layer's units, a `GapJunction` follows the potential of the unit that it
    comes from, and interneurons of lateral inhibition are membranes too.

    Args:
        model: a network of conductance layers, with an affine readout as its last part or without one: an FCN, a CNN,
            a ResNet whose shortcuts join by ``mean`` or ``conductance``, an ``nn.Sequential``. It is not changed.
        potentials: the mV that valences -1 and +1 stand for.
        total_conductance: in nS, > 0: what is open at a unit, leak included, in the mean over a layer's units and
            over `images`; without images, the mean over a layer's units of all their own synapses, open.
        capacitance: C of each unit in pF, > 0.
        images: some of the network's inputs, (N, ...), in [0, 1], a tensor or a numpy array; at least one.

    Raises:
        InputError: a hidden layer is affine, normalizes, has signed synapses or a gate, or is used twice; the network
            has no conductance layer with an average; a conductance is negative or not finite; a unit has none at all; a
            total conductance or capacitance is not above 0; an image lies outside [0, 1]; a layer does not run.
            Potentials in volts are refused by `PotentialRange`.
    """
    for name, value, unit in (("total_conductance", total_conductance, "nS"), ("capacitance", capacitance, "pF")):
        if not 0 < value < float("inf"):
            raise InputError(f"{name} is {value:g} {unit}; give a finite number above 0")
    layers, synapses = _conductance_layers(model)
    for name, layer in (layers | synapses).items():
        _check_conductances(name, layer)
    for name, layer in layers.items():
        _check_totals(name, layer)
    if images is None:
        mean = {name: _all_open(layer).mean().item() for name, layer in layers.items()}
    else:
        images = checked_images(model, images)
        if not len(images):
            raise InputError("images is empty; give at least one, or none at all (None)")
        seen = _observed(model, images, layers)
        mean = {name: (seen[name].excitation + seen[name].inhibition).mean().item() for name in layers}
    return BiophysicalNetwork(
        model,
        tuple(
            MembraneLayer(name, layer, potentials, total_conductance / mean[name], capacitance)
            for name, layer in layers.items()
        ),
        tuple(SynapseLayer(name, layer, potentials) for name, layer in synapses.items()),
    )


def _observed(model: nn.Module, images: Tensor, names: Any) -> dict[str, Any]:
    """The last `Observation` of each layer: interneurons run once in each time slice."""
    seen = {each.name: each for each in observe(model, images)}
    for name in names:
        if name not in seen:
            raise InputError(f"layer {name} does not run when the network does; leave it out")
    return seen


# Which layers are what ------------------------------------------------------------------------------------------------


def _conductance_layers(model: nn.Module) -> tuple[dict[str, ConductanceLayer], dict[str, ConductanceLayer]]:
    """The layers of membranes and those of synapses alone, by name.

    All that has parameters or buffers of its own must be one of these or a gap junction, but for a readout.
    """
    parts = dict(_parts_with_state(model))
    names = list(parts)
    if names and isinstance(parts[names[-1]], nn.Linear):
        del parts[names[-1]]
    layers: dict[str, ConductanceLayer] = {}
    synapses: dict[str, ConductanceLayer] = {}
    for name, part in parts.items():
        kind = type(part).__name__
        if isinstance(part, GapJunction):
            continue
        if not isinstance(part, ConductanceLayer):
            raise InputError(
                f"layer {name or 'of the network'} is {kind}, which is no membrane: hidden layers must be conductance "
                "layers (CWALinear, CWAConv2d, ...) as the family cwa has them; only a Linear readout may come last"
            )
        if isinstance(part, HeldLayer):
            raise InputError(
                f"layer {name} is part of a circuit or of a recurrent layer; its time slices are no membranes here yet"
            )
        if part.gate is not None:
            raise InputError(
                f"layer {name} is a {kind} with a gate of its own; membranes have the rectified gate p = max(z, 0): "
                "make the layer with activation='relu' and without learn_gate"
            )
        if any(part is other for other in (layers | synapses).values()):
            raise InputError(f"layer {name} is a {kind} that is used twice; each use would be membranes of its own")
        (layers if part.average else synapses)[name] = part
        if isinstance(part, (LateralLinear, LateralConv2d)) and part.slices:
            prefix = f"{name}." if name else ""
            layers[f"{prefix}interneurons"], synapses[f"{prefix}feedback"] = part.interneurons, part.feedback
    if not layers:
        raise InputError(
            f"{type(model).__name__} has no conductance layer with an average (average=True), so it has no membranes"
        )
    return layers, synapses


def _parts_with_state(module: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    """The conductance layers, and every other module with parameters or buffers of its own."""
    own = [*module._parameters.values(), *module._buffers.values()]
    if isinstance(module, ConductanceLayer) or any(tensor is not None for tensor in own):
        yield prefix, module
        return
    for name, part in module._modules.items():
        if part is not None:
            yield from _parts_with_state(part, f"{prefix}.{name}" if prefix else name)


def _all_open(layer: ConductanceLayer) -> Tensor:
    return (layer.conductance.flatten(1).sum(1) + layer.resting_conductance).detach()


def _check_conductances(name: str, layer: ConductanceLayer) -> None:
    refuse_bad_conductance(layer.conductance.detach(), f"conductance of layer {name}")
    refuse_bad_conductance(layer.resting_conductance.detach(), f"resting_conductance of layer {name}")


def _check_totals(name: str, layer: ConductanceLayer) -> None:
    total = _all_open(layer)
    # a leak of 0 is held as SMALLEST_LEAK
    refuse_where(
        total <= 2 * SMALLEST_LEAK,
        total,
        f"total conductance of layer {name}, unit ",
        "a membrane without conductance has no potential: give the unit a resting_conductance above 0",
    )
