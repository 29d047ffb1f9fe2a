"""Membranes at their steady state, and every open conductance that they receive there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from conductance import functional
from conductance.biophysics.coupling import check_input, couple
from conductance.biophysics.layers import MembraneLayer, SynapseLayer
from conductance.biophysics.wiring import MembraneCircuit, WiredPopulation
from conductance.errors import InputError

if TYPE_CHECKING:
    from conductance.biophysics.network import BiophysicalNetwork

# How far potentials go, in each round, to where their conductances of the moment pull them. The first finds the steady
# state of feed-forward circuits at once; inhibition that overshoots needs the smaller ones.
# Each goes with how much smaller a change is to become in `PATIENCE` rounds, or the next one follows: recurrent
# excitation may settle slowly at full speed, but never the faster at a lower one.
SPEEDS = {1.0: 0.95, 0.3: 0.5, 0.1: 0.5, 0.03: 0.5}
PATIENCE = 50
ROUNDS = 1000  # at each speed, at most
TOLERANCE = 32  # units of rounding
NEARLY = 1e-8  # of the range: at rest too, where recurrent excitation settles slowly


@dataclass(frozen=True)
class Rest:
    """What one layer's units receive, and where they rest.

    Attributes:
        membranes: the layer.
        p: what each presynaptic neuron opens, ``(N, C, *positions)``.
        total: E' + I' of the layer's own synapses and leak, ``(N, units, *positions)``. It carries autograd's graph
            back to ``p``.
        joining: the E' of all units, then the I', that join them, ``(N, 2 units, *positions)``, or None.
        z: rescaled potentials, ``(N, units, *positions)``.
        origins: where the neurons of each projection begin among the presynaptic ones, by its name; none for a layer
            that is no population of a circuit.
    """

    membranes: MembraneLayer
    p: Tensor
    total: Tensor
    joining: Tensor | None
    z: Tensor
    origins: tuple[tuple[str, int], ...] = ()

    @property
    def open_conductance(self) -> Tensor:
        """E' + I' with all that joins them, ``(N, units, *positions)``."""
        if self.joining is None:
            return self.total.detach()
        E, I = self.joining.detach().chunk(2, self.membranes.layer.channel_axis)
        return self.total.detach() + E + I


def rest(network: "BiophysicalNetwork", inputs: Sequence[Tensor]) -> tuple[dict[str, Rest], list[tuple[str, Tensor]]]:
    """The rest of each layer, by name, and what opens each layer of synapses alone: its name, and its neurons' p.

    Where a layer runs in several time slices, its rest is that of the last.

    Args:
        network: what `to_biophysical` gives.
        inputs: of the network, (N, ...), in [0, 1].

    Raises:
        InputError: an open probability lies outside [0, 1], conductances that join a layer's are none, a circuit does
            not come to rest, or a layer does not run.
    """
    seen: dict[str, Rest] = {}
    sources: list[tuple[str, Tensor]] = []
    coupled = couple(
        network,
        lambda each: _RestingMembranes(each, seen),
        lambda each: _RestingSynapses(each, sources),
        lambda each: _RestingCircuit(each, seen),
    )
    coupled(*inputs)
    for name in network.by_name:
        if name not in seen:
            raise InputError(f"layer {name} does not run when the network does; leave it out")
    return seen, sources


class _RestingMembranes(nn.Module):
    """Membranes at their steady state, which note what they receive."""

    def __init__(self, membranes: MembraneLayer, seen: dict[str, Rest]) -> None:
        super().__init__()
        self.membranes, self.seen = membranes, seen

    def forward(self, p: Tensor, extra_conductances: Tensor | None = None) -> Tensor:
        """As the layer's."""
        check_input(self.membranes, p, extra_conductances)
        found = _rest_of(self.membranes, self.membranes.per_presynaptic_neuron(p), extra_conductances)
        self.seen[self.membranes.name] = found
        return self.membranes.response(self.membranes.potentials.to_millivolts(found.z))


class _RestingSynapses(nn.Module):
    """Synapses onto another layer's units, which note what their presynaptic neurons open."""

    def __init__(self, synapses: SynapseLayer, sources: list[tuple[str, Tensor]]) -> None:
        super().__init__()
        self.synapses, self.sources = synapses, sources

    def forward(self, p: Tensor, extra_conductances: Tensor | None = None) -> Tensor:
        """As the layer's."""
        check_input(self.synapses, p, extra_conductances)
        opened = _as_leaf(self.synapses.per_presynaptic_neuron(p))
        self.sources.append((self.synapses.name, opened))
        both = torch.cat(self.synapses.synaptic_conductances(opened), self.synapses.layer.channel_axis)
        return both if extra_conductances is None else both + extra_conductances


class _RestingCircuit(nn.Module):
    """Populations that project onto one another, where nothing changes any more; for the last element of a sequence."""

    def __init__(self, circuit: MembraneCircuit, seen: dict[str, Rest]) -> None:
        super().__init__()
        self.circuit, self.seen = circuit, seen

    def forward(self, shown: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Open probabilities and rescaled potentials of every population."""
        last = {name: p if p.ndim == 2 else p[:, -1] for name, p in shown.items()}
        opened, z = settle(self.circuit, last)
        found = {}
        for name, wired in self.circuit.wiring.populations.items():
            membranes = self.circuit.membranes[name]
            brought = [opened[each.source].flatten(1) for each in wired.afferents]
            firsts = torch.tensor([0, *(each.shape[1] for each in brought)]).cumsum(0).tolist()
            origins = tuple(zip(map(str, wired.afferents), firsts, strict=False))
            received = wired.received(brought)
            joining = _pooled(membranes, wired, membranes.synaptic_conductances(received), z[name])
            found[name] = self.seen[membranes.name] = _rest_of(membranes, received, joining, origins)
        return {name: opened[name] for name in found}, {name: each.z for name, each in found.items()}


def _rest_of(
    membranes: MembraneLayer,
    opened: Tensor,
    joining: Tensor | None,
    origins: tuple[tuple[str, int], ...] = (),
) -> Rest:
    """Where units rest.

    Args:
        membranes: the layer.
        opened: by each presynaptic neuron.
        joining: see `Rest`.
        origins: see `Rest`.
    """
    p = _as_leaf(opened)
    E, I = membranes.synaptic_conductances(p)
    total = E + I
    E, I = E.detach(), I.detach()
    if joining is not None:
        extra_E, extra_I = joining.detach().chunk(2, membranes.layer.channel_axis)
        E, I = E + extra_E, I + extra_I
    return Rest(membranes, p, total, joining, functional.membrane_potential(E, I), origins)


@torch.no_grad()
def settle(circuit: MembraneCircuit, shown: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Where no potential changes any more: what all inputs and populations open, and z of the populations, (N, ...).

    Delays and time constants do not count there, so all populations go from round to round together, from rest on.

    Raises:
        InputError: there is no such state within reach.
    """
    settling = _Settling(circuit, shown)
    tolerance = TOLERANCE * torch.finfo(settling.dtype).eps
    change = float("inf")
    for speed, progress in SPEEDS.items():
        earlier = float("inf")
        for number in range(1, ROUNDS + 1):
            change = settling.go_on(speed)
            if change <= tolerance:
                return settling.sent, settling.z
            if number % PATIENCE == 0:
                if change > progress * earlier:
                    break
                earlier = change
        if change <= NEARLY:
            return settling.sent, settling.z
    raise InputError(
        f"the circuit comes to no rest: its potentials still change by {change:.2g} of their range; simulate() shows "
        "their course"
    )


class _Settling:
    """Populations on their way to rest.

    Attributes:
        sent: what every input and population opens, ``(N, ...)``.
        z: of the populations.
    """

    def __init__(self, circuit: MembraneCircuit, shown: Mapping[str, Tensor]) -> None:
        self.circuit = circuit
        samples = next(iter(shown.values()))
        self.dtype = samples.dtype
        self.sent, self.z = dict(shown), {}
        self.packed = {name: membranes.packed() for name, membranes in circuit.membranes.items()}
        for name, wired in circuit.wiring.populations.items():
            rest = circuit.membranes[name].along_channels(wired.layer.resting_potential).to(samples)
            self.sent[name] = samples.new_zeros(len(samples), *wired.shape)
            self.z[name] = rest.expand(self.sent[name].shape)

    def go_on(self, speed: float) -> float:
        """Move all potentials by this share of the way to where they are pulled; how long the longest way was."""
        longest = 0.0
        for name, wired in self.circuit.wiring.populations.items():
            membranes, here = self.circuit.membranes[name], self.z[name]
            p = wired.received([self.sent[each.source].flatten(1) for each in wired.afferents])
            E, I = membranes.synaptic_conductances(p, self.packed[name])
            joining = _pooled(membranes, wired, (E, I), here)
            if joining is not None:
                extra_E, extra_I = joining.chunk(2, membranes.layer.channel_axis)
                E, I = E + extra_E, I + extra_I
            there = functional.membrane_potential(E, I)
            longest = max(longest, (there - here).abs().max().item())
            self.z[name] = torch.lerp(here, there, speed)
            self.sent[name] = membranes.open_probability(membranes.potentials.to_millivolts(self.z[name]))
        return longest


def _pooled(
    membranes: MembraneLayer, wired: WiredPopulation, conductances: tuple[Tensor, Tensor], z: Tensor
) -> Tensor | None:
    """What the population's pooled interneuron opens at z, E' of all units, then I'; None where it has none."""
    if wired.pooled is None:
        return None
    axis = membranes.layer.channel_axis
    mean = None if wired.pooled == "at once" else z.mean(axis, keepdim=True)
    return functional.pooled_conductances(torch.cat(conductances, axis), axis, mean)


def _as_leaf(p: Tensor) -> Tensor:
    """The same numbers at the start of a graph of their own."""
    return p.detach().clone().requires_grad_()
