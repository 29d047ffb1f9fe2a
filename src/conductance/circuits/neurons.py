"""What the neurons of an input or of a population are, as a person describes them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from conductance.biophysics import PotentialRange
from conductance.biophysics._checks import refuse_volts
from conductance.biophysics.synapses import SYNAPSE_CLASSES
from conductance.circuits.coding import Coding
from conductance.circuits.places import Places
from conductance.circuits.quantities import is_positive
from conductance.errors import InputError, UnknownNameError
from conductance.memory import require_memory
from conductance.valence import Valences

GateKind = Literal["rectified", "logistic"]
Reversal = str | float

_BYTES_OF_A_NEURON = 16  # its valence, and a copy
LOGISTIC_WIDTH = 5.0  # mV: a gate that opens from 5 to 95 % within 30 mV


@dataclass(frozen=True)
class InputNeurons:
    """An input: where its neurons are, what they send and what they do to others.

    Attributes:
        name: in the circuit.
        places: of the neurons.
        shape: of one sample of the data.
        coding: see `InputCode`.
        valence: of each neuron, (units,).
    """

    name: str
    places: Places
    shape: tuple[int, ...]
    coding: Coding | None
    valence: Tensor


@dataclass(frozen=True)
class PopulationNeurons:
    """A population: where its neurons are, what they do to others, and their membranes; all potentials rescaled.

    Attributes:
        name: in the circuit.
        places: of the neurons.
        valence: of each neuron, (units,).
        membrane: options of the layer: leak and the form of conductances.
        gate: its kind, threshold, width and whether it learns; None for p = max(z, 0).
        tau_membrane: C/G_r in ms; None for a membrane that takes no time.
        tau_synapse: in ms; None for synapses that take no time.
        pooled_interneuron: whether one further neuron sits at their mean potential and acts back on all of them.
    """

    name: str
    places: Places
    valence: Tensor
    membrane: dict[str, Any]
    gate: tuple[GateKind, float, float, bool] | None
    tau_membrane: float | None
    tau_synapse: float | None
    pooled_interneuron: bool = False


def valence_of(
    name: str, places: Places, reversal: Reversal | None, valence: Valences | float | None, potentials: PotentialRange
) -> Tensor:
    """The valence of each neuron, (units,), from a reversal potential or as it is given.

    Raises:
        InputError: both or neither are given, one is out of range, or there are too few or too many values.
        UnknownNameError: there is no such class of synapses.
    """
    require_memory(_BYTES_OF_A_NEURON * places.units, f"{name}, of {places.units:,} neurons,", "give it a smaller size")
    if (reversal is None) == (valence is None):
        raise InputError(f"{name}: give either reversal (a class such as 'AMPA', or mV) or valence, in [-1, 1]")
    if reversal is not None:
        return torch.full((places.units,), rescaled(name, "reversal", reversal, potentials), dtype=torch.float64)
    with torch.device("cpu"):
        values = torch.as_tensor(valence, dtype=torch.float64).detach().cpu()
    if values.shape == (places.channels,):  # the same at every point
        values = values.repeat_interleave(places.points)
    if values.shape not in ((), (places.units,)):
        raise InputError(
            f"{name}: valence has shape {tuple(values.shape)}; give one number, or one for each of {places.units} "
            "neurons"
        )
    if not bool((values.abs() <= 1).all()):
        raise InputError(f"{name}: valence must lie in [-1, 1]: -1 is the lowest reversal potential, +1 the highest")
    return values.expand(places.units).clone()


def rescaled(name: str, what: str, potential: Reversal, potentials: PotentialRange) -> float:
    """A potential in mV, or that of a class of synapses, on [-1, 1].

    Raises:
        InputError: it lies outside the circuit's range.
        UnknownNameError: there is no such class of synapses.
    """
    if isinstance(potential, str):
        if potential not in SYNAPSE_CLASSES:
            raise UnknownNameError("synapse class", potential, SYNAPSE_CLASSES)
        potential = SYNAPSE_CLASSES[potential].reversal_potential
    refuse_volts(potential, f"{name}: {what}")
    if not potentials.minimum <= potential <= potentials.maximum:
        raise InputError(
            f"{name}: {what} of {potential:g} mV lies outside the circuit's range of {potentials.minimum:g} to "
            f"{potentials.maximum:g} mV; choose another, or Circuit(potentials=PotentialRange(...))"
        )
    return float(potentials.to_valence(float(potential)))


def gate_of(
    name: str,
    kind: GateKind,
    threshold: float,
    width: float | None,
    learn: bool,
    potentials: PotentialRange,
) -> tuple[GateKind, float, float, bool] | None:
    """The gate on the rescaled potential; None where it is p = max(z, 0).

    Raises:
        UnknownNameError: there is no such gate.
        InputError: a width that is not positive, or a threshold outside the range.
    """
    if kind not in get_args(GateKind):
        raise UnknownNameError("gate", kind, get_args(GateKind))
    theta = rescaled(name, "threshold", threshold, potentials)
    if width is None:
        width = potentials.maximum - threshold if kind == "rectified" else LOGISTIC_WIDTH
    if not is_positive(width):
        raise InputError(f"{name}: width={width} mV; how far a gate opens must be above 0")
    k = width / potentials.half_width
    return None if (kind, theta, k, learn) == ("rectified", 0.0, 1.0, False) else (kind, theta, k, learn)


def time_constant(name: str, what: str, tau: float | None) -> float | None:
    """A time constant in ms, None for none.

    Raises:
        InputError: it is not positive.
    """
    if tau is not None and not is_positive(tau):
        raise InputError(f"{name}: {what}={tau} ms; a time constant must be above 0, or None for no time at all")
    return tau


def names_of(targets: object) -> Sequence[object]:
    """One or several."""
    return targets if isinstance(targets, (list, tuple)) else [targets]
