"""What a network of populations that run in time tells about itself, so that its units can be membranes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from conductance.biophysics.layers import MembraneLayer
from conductance.biophysics.rescaling import PotentialRange
from conductance.nn import ConductanceLayer


@dataclass(frozen=True)
class Afferent:
    """A projection onto a population: a stretch of the presynaptic channels of its layer.

    Attributes:
        source: name of the input or population that it comes from.
        delay: in ms.
        start, stop: the stretch.
    """

    source: str
    delay: float
    start: int
    stop: int

    def __str__(self) -> str:
        return self.source + (f" {self.delay:g} ms before" if self.delay else "")


@dataclass(frozen=True)
class WiredPopulation:
    """A population: one layer, whose presynaptic channels are those of all its sources, one after the other.

    Attributes:
        layer: its synapses, leak and gate.
        shape: of one sample as its layer gives it, (units,) or ``(channels, *grid)``.
        source_grid: of its sources' points where its layer is a convolution, otherwise None.
        afferents: its projections, in the order of the channels.
        capacitance: C of each unit, (out,), in the layer's own unit of conductance times ms; None where the network's
            membranes take no time.
        tau_synapse: of the synapses that its units have on others, in ms; None where they take no time.
        pooled: of its pooled interneuron, how long ago the mean potential was at which it sits, in ms; or "at once"
            where it sits at the mean to which all that is open pulls the units; None for no interneuron.
    """

    layer: ConductanceLayer
    shape: tuple[int, ...]
    source_grid: tuple[int, ...] | None
    afferents: tuple[Afferent, ...]
    capacitance: Tensor | None
    tau_synapse: float | None
    pooled: Literal["at once"] | float | None

    def received(self, sent: Sequence[Tensor]) -> Tensor:
        """What each presynaptic channel of the layer opens, given what each afferent brings, (N, units)."""
        p = torch.cat(list(sent), 1)
        return p if self.source_grid is None else p.unflatten(1, (-1, *self.source_grid))


@dataclass(frozen=True)
class Wiring:
    """Inputs, populations, and who reads whom.

    Attributes:
        potentials: the mV that valences -1 and +1 stand for.
        valences: of each neuron of every input and population, (units,), by name.
        inputs: names of the inputs.
        populations: by name, each after all that feed it without delay.
        outputs: names of the populations that are read.
        element_duration: how long each element of a sequence is shown, in ms.
    """

    potentials: PotentialRange
    valences: Mapping[str, Tensor]
    inputs: tuple[str, ...]
    populations: Mapping[str, WiredPopulation]
    outputs: tuple[str, ...]
    element_duration: float


class WiredModule(nn.Module):
    """A module that knows its wiring. `conductance.circuits.CircuitNetwork` is one.

    Attributes:
        readout: what reads the output populations, side by side; None for nothing.
    """

    readout: nn.Module | None

    def wiring(self) -> Wiring:
        """Inputs, populations, and who reads whom."""
        raise NotImplementedError

    def encode(self, *inputs: Tensor) -> tuple[dict[str, Tensor], int | None]:
        """What each input's neurons send, (N, units), and None; or (N, time, units), and the length of the sequence."""
        raise NotImplementedError

    def lasting(self, output: Tensor, potentials: Mapping[str, Tensor], length: int) -> Any:
        """What the module returns for a sequence at whose every element it gives the same output.

        Args:
            output: (N, ...).
            potentials: z of each population, (N, units).
            length: of the sequence.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class MembraneCircuit:
    """Populations of membranes that project onto one another.

    Attributes:
        place: the module of the network that they are.
        module: the same, with its wiring.
        wiring: of the module.
        names: in the network, of each input and population.
        membranes: of each population, by its name in the circuit.
    """

    place: nn.Module
    module: WiredModule
    wiring: Wiring
    names: Mapping[str, str]
    membranes: Mapping[str, MembraneLayer]

    def outputs(self, sent: Mapping[str, Tensor]) -> Tensor:
        """What is read, (N, units of all outputs)."""
        return torch.cat([sent[name].flatten(1) for name in self.wiring.outputs], 1)
