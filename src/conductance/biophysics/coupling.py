"""A copy of a network with membranes and synapses in the places of its layers."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from conductance import functional
from conductance.biophysics._checks import refuse_bad_conductance, refuse_bad_probability
from conductance.biophysics.layers import MembraneLayer, SynapseLayer
from conductance.biophysics.wiring import MembraneCircuit
from conductance.errors import InputError
from conductance.nn import ConductanceLayer, LateralConv2d, LateralLinear

if TYPE_CHECKING:
    from conductance.biophysics.network import BiophysicalNetwork


def couple(
    network: "BiophysicalNetwork",
    membranes: Callable[[MembraneLayer], nn.Module],
    synapses: Callable[[SynapseLayer], nn.Module],
    circuit: Callable[[MembraneCircuit], nn.Module],
) -> nn.Module:
    """A copy of the network's model in evaluation mode; all but its conductance layers is as it was.

    Args:
        network: what `to_biophysical` gives.
        membranes: makes what stands for a layer's units. It is called with p and, where something joins their average,
            ``extra_conductances``, and returns what the layer returns.
        synapses: makes what stands for synapses alone. It is called alike and returns E' and I' as a layer with
            ``average=False`` does.
        circuit: makes what stands for populations that project onto one another. It is called with what the circuit's
            inputs send, by name, (N, units), or (N, time, units) for a sequence. It returns the open probabilities and
            the rescaled potentials of each population at one moment, by name, (N, ...).
    """
    populations = {each.layer for every in network.circuits for each in every.membranes.values()}
    by_layer: dict[ConductanceLayer, Any] = {
        each.layer: each for each in (*network.layers, *network.synapses) if each.layer not in populations
    }
    stand_ins: dict[int, nn.Module] = {}
    within: set[ConductanceLayer] = set()
    for layer, each in by_layer.items():
        if layer in within:
            continue
        if isinstance(layer, (LateralLinear, LateralConv2d)) and layer.slices:
            slices = [
                (membranes(each), membranes(by_layer[layer.interneurons]), synapses(by_layer[layer.feedback]))
                for _ in range(layer.slices)
            ]
            stand_ins[id(layer)] = _TimeSlices(slices, membranes(each), layer.strength)
            within |= {layer.interneurons, layer.feedback}
        elif isinstance(each, MembraneLayer) and layer.pooled_interneuron:
            read = membranes(replace(each, unrectified=True))
            stand_ins[id(layer)] = _PooledInterneuron(each, read, membranes(each))
        else:
            stand_ins[id(layer)] = membranes(each) if isinstance(each, MembraneLayer) else synapses(each)
    for every in network.circuits:
        readout = copy.deepcopy(every.module.readout, stand_ins)
        stand_ins[id(every.place)] = _Circuit(every, circuit(every), readout, every.place is network.model)
    return copy.deepcopy(network.model, stand_ins).eval()


class _Circuit(nn.Module):
    """Populations of membranes in the place of a circuit, and what reads them.

    A circuit that reads a sequence returns an output for each element. Here there is one moment, whose output is that
    of all elements where other parts of the network read it.
    """

    def __init__(self, circuit: MembraneCircuit, running: nn.Module, readout: nn.Module | None, alone: bool) -> None:
        super().__init__()
        self.circuit, self.running, self.readout, self.alone = circuit, running, readout, alone

    def forward(self, *inputs: Tensor) -> Any:
        """As the circuit's."""
        shown, length = self.circuit.module.encode(*inputs)
        for name, p in shown.items():
            refuse_bad_probability(p, f"what input {name} sends: open_probability")
        opened, z = self.running(shown)
        output = self.circuit.outputs(opened)
        if self.readout is not None:
            output = self.readout(output)
        if length is None or self.alone:
            return output
        return self.circuit.module.lasting(output, {name: each.flatten(1) for name, each in z.items()}, length)


class _TimeSlices(nn.Module):
    """The time slices of a layer with lateral inhibition, one after the other (`conductance.nn.LateralLinear`).

    Each slice has membranes of its own, so that the last ones come to rest at the network's z. In a recurrent circuit
    there would be one population of each kind, which would rest at the limit of many slices.
    """

    def __init__(
        self, slices: Sequence[tuple[nn.Module, nn.Module, nn.Module]], last: nn.Module, strength: float
    ) -> None:
        super().__init__()
        self.slices = nn.ModuleList(nn.ModuleList(each) for each in slices)
        self.last, self.strength = last, strength

    def forward(self, p: Tensor, extra_conductances: Tensor | None = None) -> Tensor:
        """As the layer's."""
        joining = extra_conductances
        for units, interneurons, feedback in cast("list[nn.ModuleList]", self.slices):
            lateral = self.strength * feedback(interneurons(units(p, joining).clamp(min=0)))
            joining = lateral if extra_conductances is None else lateral + extra_conductances
        return self.last(p, joining)


class _PooledInterneuron(nn.Module):
    """Units, the interneuron at their mean potential, and the units on which it acts (`functional.pooled_interneuron`).

    It reads the units as they are before it acts. So these have membranes of their own, as the time slices of lateral
    inhibition do. The interneuron itself follows their mean at once; what it opens at each unit is its size times that
    unit's own total.
    """

    def __init__(self, units: MembraneLayer, read: nn.Module, acted_on: nn.Module) -> None:
        super().__init__()
        self.units, self.read, self.acted_on = units, read, acted_on

    def forward(self, p: Tensor, extra_conductances: Tensor | None = None) -> Tensor:
        """As the layer's."""
        axis = self.units.layer.channel_axis
        mean = self.read(p, extra_conductances).mean(axis, keepdim=True)
        own = torch.cat(self.units.synaptic_conductances(self.units.per_presynaptic_neuron(p)), axis)
        total = own if extra_conductances is None else own + extra_conductances
        pooled = functional.pooled_conductances(total, axis, mean).detach()
        return self.acted_on(p, pooled if extra_conductances is None else pooled + extra_conductances)


def check_input(each: SynapseLayer, p: Tensor, extra_conductances: Tensor | None) -> None:
    """Refuse what no membrane can be given.

    Raises:
        InputError: an open probability lies outside [0, 1]; or conductances that join the layer's are negative, not
            finite, or not two for each unit.
    """
    refuse_bad_probability(p, f"the input of layer {each.name}: open_probability")
    if extra_conductances is not None:
        units, given = each.layer.out_channels, tuple(extra_conductances.shape)
        if extra_conductances.ndim < 2 or given[each.layer.channel_axis] != 2 * units:
            raise InputError(
                f"what joins layer {each.name} has the shape {given}; give the E' of its {units} units, then the I', "
                "along the channels, as a layer with average=False returns them"
            )
        refuse_bad_conductance(extra_conductances, f"what joins layer {each.name}: extra_conductances")
