"""Membranes, synapses and circuits that go on by a step each time they are called."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from conductance import functional
from conductance.biophysics.coupling import check_input
from conductance.biophysics.layers import MembraneLayer, SynapseLayer
from conductance.biophysics.membrane import exponential_step
from conductance.biophysics.openings import Opening
from conductance.biophysics.wiring import MembraneCircuit
from conductance.errors import InputError


@dataclass(frozen=True)
class Moment:
    """The membranes of a layer at the start of a step, ``(N, units, *positions)``, and what is open during it.

    Attributes:
        potential: V in mV.
        excitation, inhibition: E' and I' in nS, leak included.
    """

    potential: Tensor
    excitation: Tensor
    inhibition: Tensor


class Membranes(nn.Module):
    """A layer's units: in its place they give what they open at the start of a step, and go a step on."""

    def __init__(self, membranes: MembraneLayer, step: float, opening: Opening | None = None) -> None:
        super().__init__()
        self.membranes, self.step, self.opening = membranes, step, opening
        self.capacitance = membranes.along_channels(membranes.capacitance)
        self.packed = membranes.packed()
        self.potential: Tensor | None = None
        self.moment: Moment | None = None

    def forward(self, p: Tensor, extra_conductances: Tensor | None = None) -> Tensor:
        """Open probabilities of the presynaptic units, (N, ...), to those of this layer's, or to its z."""
        assert self.opening is not None
        check_input(self.membranes, p, extra_conductances)
        opened = self.opening(self.membranes.per_presynaptic_neuron(p))
        return self.membranes.response(self.advance(opened, extra_conductances))

    def advance(self, opened: Tensor, extra_conductances: Tensor | None = None) -> Tensor:
        """V at the start of a step, at whose end it will be where these open synapses pull it."""
        if self.moment is not None:
            raise InputError(
                f"layer {self.membranes.name} runs twice in one pass; each use would be membranes of its own"
            )
        E, I = self.membranes.open_conductances(opened, extra_conductances, self.packed)
        V = self.at_rest(E) if self.potential is None else self.potential
        driving = self.membranes.potentials.maximum * E + self.membranes.potentials.minimum * I
        self.moment = Moment(V, E, I)
        self.potential = exponential_step(V, E + I, driving, self.capacitance, self.step)
        return V

    def at_rest(self, like: Tensor) -> Tensor:
        """E_r in mV at all positions, in the shape of a tensor."""
        return self.membranes.along_channels(self.membranes.resting_potential).expand_as(like)

    def take_moment(self) -> Moment:
        """What was at the start of the latest step."""
        moment, self.moment = self.moment, None
        if moment is None:
            raise InputError(f"layer {self.membranes.name} does not run when the network does; leave it out")
        return moment


class Synapses(nn.Module):
    """Synapses onto another layer's units: in the place of a layer with ``average=False``."""

    def __init__(self, synapses: SynapseLayer, opening: Opening) -> None:
        super().__init__()
        self.synapses, self.opening, self.packed = synapses, opening, synapses.packed()

    def forward(self, p: Tensor, extra_conductances: Tensor | None = None) -> Tensor:
        """Open probabilities of the presynaptic units to E' and I' in the layer's own units."""
        check_input(self.synapses, p, extra_conductances)
        opened = self.opening(self.synapses.per_presynaptic_neuron(p))
        both = torch.cat(self.synapses.synaptic_conductances(opened, self.packed), self.synapses.layer.channel_axis)
        return both if extra_conductances is None else both + extra_conductances


class CircuitInTime(nn.Module):
    """Populations that project onto one another: all read what all sent, each as long ago as its projection takes.

    Args:
        circuit: its populations and their wiring.
        populations: the membranes of each.
        openings: of each input and population, by name: of its synapses onto all that it projects onto.
        step: in ms. Delays are rounded to whole steps.
    """

    def __init__(
        self,
        circuit: MembraneCircuit,
        populations: Mapping[str, Membranes],
        openings: Mapping[str, Opening],
        step: float,
    ) -> None:
        super().__init__()
        self.circuit, self.openings, self.step = circuit, dict(openings), step
        self.populations = dict(populations)
        afferents = [each for wired in circuit.wiring.populations.values() for each in wired.afferents]
        self.late = {each: round(each.delay / step) for each in afferents}
        longest = max(self.late.values(), default=0)
        self.sent: dict[str, deque[Tensor]] = {name: deque(maxlen=1 + longest) for name in openings}
        self.means = {
            name: deque[Tensor](maxlen=1 if wired.pooled == "at once" else 1 + round(wired.pooled / step))
            for name, wired in circuit.wiring.populations.items()
            if wired.pooled is not None
        }
        self.steps = 0

    def forward(self, shown: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Open probabilities and rescaled potentials of every population at the start of a step."""
        p = {name: self._now(values) for name, values in shown.items()}
        samples = next(iter(p.values()))
        potentials = {}
        for name, wired in self.circuit.wiring.populations.items():
            membranes = self.populations[name]
            V = membranes.potential
            potentials[name] = membranes.at_rest(samples.new_empty(len(samples), *wired.shape)) if V is None else V
            p[name] = membranes.membranes.open_probability(potentials[name])
        z = {name: self.circuit.membranes[name].potentials.to_valence(V) for name, V in potentials.items()}
        for name, opening in self.openings.items():
            self.sent[name].append(opening(p[name].flatten(1)))
        for name, wired in self.circuit.wiring.populations.items():
            brought = [self._arriving(each.source, self.late[each]) for each in wired.afferents]
            opened = wired.received(brought)
            self.populations[name].advance(opened, self._pooled(name, opened, z[name]))
        self.steps += 1
        return {name: p[name] for name in potentials}, z

    def _pooled(self, name: str, opened: Tensor, z: Tensor) -> Tensor | None:
        """What a population's pooled interneuron opens, in the layer's own units; None where it has none."""
        if name not in self.means:
            return None
        running, pooled = self.populations[name], self.circuit.wiring.populations[name].pooled
        axis = running.membranes.layer.channel_axis
        self.means[name].append(z.mean(axis, keepdim=True))
        mean = None if pooled == "at once" else self.means[name][0]
        own = torch.cat(running.membranes.synaptic_conductances(opened, running.packed), axis)
        return functional.pooled_conductances(own, axis, mean)

    def _now(self, shown: Tensor) -> Tensor:
        """What is shown at the start of this step; a sequence's last element stays."""
        if shown.ndim == 2:
            return shown
        element = int(self.steps * self.step / self.circuit.wiring.element_duration + 1e-6)
        return shown[:, min(element, shown.shape[1] - 1)]

    def _arriving(self, source: str, steps: int) -> Tensor:
        """What a source sent so many steps ago; nothing before the first."""
        sent = self.sent[source]
        return sent[-1 - steps] if steps < len(sent) else torch.zeros_like(sent[-1])
