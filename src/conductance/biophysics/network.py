"""A trained network as coupled membranes, in millivolts, nanosiemens and picofarads."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from conductance.biophysics._checks import refuse_bad_probability
from conductance.biophysics.layers import MembraneLayer, SynapseLayer
from conductance.biophysics.parts import Parts, all_open, find_parts
from conductance.biophysics.rescaling import DEFAULT_RANGE, PotentialRange
from conductance.biophysics.rest import rest
from conductance.biophysics.wiring import MembraneCircuit
from conductance.checked import checked
from conductance.errors import InputError
from conductance.finite import require_finite
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
        circuits: parts of the network whose populations project onto one another; each population is one of
            ``layers``, by its own name.
    """

    model: nn.Module
    layers: tuple[MembraneLayer, ...]
    synapses: tuple[SynapseLayer, ...] = ()
    circuits: tuple[MembraneCircuit, ...] = ()

    @cached_property
    def by_name(self) -> dict[str, MembraneLayer]:
        """The layers by their names in the network."""
        return {each.name: each for each in self.layers}

    @property
    def trains(self) -> tuple[str, ...]:
        """Whose spikes `simulate` records: a circuit's inputs and populations, and ``onto`` each other layer."""
        of_circuits = {each.names[name]: None for each in self.circuits for name in each.names}
        others = (f"onto {each.name}" for each in (*self.layers, *self.synapses) if each.name not in of_circuits)
        return (*of_circuits, *others)

    @torch.no_grad()
    def steady_state(self, images: Any) -> dict[str, Tensor]:
        """V in mV of every unit where nothing changes any more, by layer, ``(N, units, *positions)``: z of each layer.

        A circuit's populations rest at the limit of many time slices; of a sequence, while its last element lasts.

        Args:
            images: the network's input, (N, ...), in [0, 1]: a tensor or a numpy array; a tuple of them for a network
                with several inputs.

        Raises:
            InputError: an image lies outside [0, 1], or a circuit comes to no rest.
        """
        seen, _ = rest(self, checked_images(self.model, images))
        return {each.name: each.potentials.to_millivolts(seen[each.name].z) for each in self.layers}


def checked_images(model: nn.Module, images: Any) -> tuple[Tensor, ...]:
    """The network's inputs as tensors of open probabilities.

    Raises:
        InputError: they are no tensor or array of numbers, or one lies outside [0, 1].
    """
    images = as_tensors(model, images)
    parts = images if isinstance(images, tuple) else (images,)
    if not parts:
        raise InputError("images are empty; give one tensor or numpy array, (N, ...), or a tuple of them")
    for number, part in enumerate(parts):
        if not isinstance(part, Tensor):
            raise InputError(
                f"images are a {type(part).__name__}; give one tensor or numpy array, (N, ...), or a tuple of them for "
                "a network with several inputs"
            )
        refuse_bad_probability(part, f"images[{number}]" if len(parts) > 1 else "images")
    return parts


@checked
def to_biophysical(
    model: nn.Module,
    potentials: PotentialRange | None = None,
    total_conductance: float = TOTAL_CONDUCTANCE,
    *,
    capacitance: float = CAPACITANCE,
    step_duration: float = 1.0,
    images: Any = None,
) -> BiophysicalNetwork:
    """Read a trained network as membranes in millivolts, nanosiemens and picofarads.

    A valence e of +1 becomes the reversal potential `potentials.maximum` (AMPA's by default), -1 becomes
    `potentials.minimum` (-100 mV by default, so that the threshold, e = 0, is at -50 mV), others what lies between: on
    the default range GABA-A is -0.4 and GABA-B -0.8. Conductances of each
    layer are multiplied by one factor, which changes no steady state: they are given a size because C / G is a time.

    Conductances that join a layer's average from elsewhere are part of the network: those of a layer with
    ``average=False`` are synapses onto that layer's units, a `GapJunction` follows the potential of the unit that it
    comes from, and interneurons of lateral inhibition are membranes too. A circuit's populations
    (`conductance.circuits`) are membranes that project onto one another, with its delays and time constants in ms.

    Args:
        model: a network of conductance layers, with an affine readout as its last part or without one: an FCN, a CNN,
            a ResNet whose shortcuts join by ``mean`` or ``conductance``, an ``nn.Sequential``, a circuit. It is not
            changed.
        potentials: the mV that valences -1 and +1 stand for; by default a circuit's own range.
        total_conductance: in nS, > 0: what is open at a unit, leak included, in the mean over a layer's units and
            over `images`; without images, the mean over a layer's units of all their own synapses, open.
        capacitance: C of each unit in pF, > 0; of a population with ``tau_membrane`` it is tau G_r instead.
        step_duration: what one time step of a recurrent layer (`conductance.nn.CWARNN`) lasts, in ms, > 0. Circuits
            know the duration of their slices.
        images: some of the network's inputs, (N, ...), in [0, 1], a tensor or a numpy array; at least one.

    Raises:
        InputError: a hidden layer is affine, normalizes, has signed synapses, or is used twice; the network has no
            conductance layer with an average; a conductance is negative or not finite; a unit has none at all; a total
            conductance or capacitance is not above 0; an image lies outside [0, 1]; a layer does not run; a circuit
            comes to no rest. Potentials in volts are refused by `PotentialRange`.
    """
    for name, value, unit in (
        ("total_conductance", total_conductance, "nS"),
        ("capacitance", capacitance, "pF"),
        ("step_duration", step_duration, "ms"),
    ):
        if not 0 < value < float("inf"):
            raise InputError(f"{name} is {value:g} {unit}; give a finite number above 0")
    parts = find_parts(model, step_duration)
    require_finite(model, "read as membranes")
    if potentials is None:
        potentials = next((circuit.wiring.potentials for circuit in parts.circuits), DEFAULT_RANGE)
    if images is None:
        mean = {name: all_open(layer).mean().item() for name, layer in parts.layers.items()}
    else:
        inputs = checked_images(model, images)
        if not len(inputs[0]):
            raise InputError("images is empty; give at least one, or none at all (None)")
        unscaled = _in_units(model, parts, potentials, dict.fromkeys(parts.layers, 1.0), capacitance)
        with torch.no_grad():
            seen, _ = rest(unscaled, inputs)
        mean = {name: seen[name].open_conductance.mean().item() for name in parts.layers}
    nanosiemens = {name: total_conductance / mean[name] for name in parts.layers}
    return _in_units(model, parts, potentials, nanosiemens, capacitance)


def _in_units(
    model: nn.Module, parts: Parts, potentials: PotentialRange, nanosiemens: Mapping[str, float], capacitance: float
) -> BiophysicalNetwork:
    own = {name: C for circuit in parts.circuits for name, C in circuit.capacitances.items()}
    layers = {}
    for name, layer in parts.layers.items():
        C = own[name] * nanosiemens[name] if name in own else torch.full_like(layer.resting_conductance, capacitance)
        layers[name] = MembraneLayer(name, layer, potentials, nanosiemens[name], C.detach())
    return BiophysicalNetwork(
        model,
        tuple(layers.values()),
        tuple(SynapseLayer(name, layer, potentials) for name, layer in parts.synapses.items()),
        tuple(
            MembraneCircuit(
                circuit.place,
                circuit.module,
                circuit.wiring,
                {name: circuit.name_of(name) for name in (*circuit.wiring.inputs, *circuit.wiring.populations)},
                {name: layers[circuit.name_of(name)] for name in circuit.wiring.populations},
            )
            for circuit in parts.circuits
        ),
    )
