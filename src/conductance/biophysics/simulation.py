"""A trained network in time: its layers as coupled membranes, driven by constant open probabilities or by spikes."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from conductance.biophysics._checks import Units, whole_numbers
from conductance.biophysics.coupling import check_input, couple
from conductance.biophysics.layers import MembraneLayer, SynapseLayer
from conductance.biophysics.membrane import exponential_step
from conductance.biophysics.network import BiophysicalNetwork, checked_images
from conductance.biophysics.spikes import MS_PER_SECOND, TAU_E, TAU_I, decay_over_step, refuse_uncountable_spikes
from conductance.errors import InputError, UnknownNameError

MODES = ("constant", "spiking")


@dataclass(frozen=True)
class Simulation:
    """The course of a network's membranes.

    Attributes:
        time: of each record in ms, (T,), from 0 on, in float64.
        potential: V in mV by layer, ``(T, N, units, *positions)``, or (T, N, chosen units).
        logits: the readout's output for the last layer's open probabilities, (T, N, classes).
        mean_potential: the mean V in mV by layer over all steps from `average_from` on, ``(N, units, *positions)``.
        mean_logits: the mean logits likewise, (N, classes).
    """

    time: Tensor
    potential: dict[str, Tensor]
    logits: Tensor
    mean_potential: dict[str, Tensor]
    mean_logits: Tensor


@torch.no_grad()
def simulate(
    network: BiophysicalNetwork,
    images: Any,
    duration: float,
    *,
    mode: str = "constant",
    step: float = 1.0,
    rate_max: float = 100.0,
    tau_E: float = TAU_E,
    tau_I: float = TAU_I,
    generator: torch.Generator | None = None,
    units: Mapping[str, Units] | None = None,
    every: int = 1,
    average_from: float = 0.0,
    on_step: Callable[[], object] | None = None,
) -> Simulation:
    """Run a trained network as coupled membranes, all of which start at their resting potentials.

        C dV_i/dt = G_r (E_r - V_i) + sum_j G_ij s_j(t) (E_j - V_i),   p_i(t) = max(z_i(t), 0)

    with z the rescaled V (`MembraneLayer.open_probability`). During each step conductances are constant, and V relaxes
    exponentially to their steady state (`relax`): V stays between the reversal potentials at any step size, and the
    steady state is exact. Only the change of p within a step is neglected.

    ``constant``: s_j = p_j(t), so that V comes to rest at the network's own z, in mV.

    ``spiking``: each presynaptic unit j, input pixels included, fires as a Poisson process at the rate p_j(t) R. A
    spike raises s_j by 1 / (R tau_j), which decays with tau_j; on average s_j = p_j. All synapses of a unit onto one
    layer see the same spikes. The two copies of a doubled input are two neurons; a unit that is read by two layers
    (where a ResNet branches) has a train for each.

    Conductances that join a layer's average are there at every moment: synapses of layers with ``average=False`` are
    open like all others, gap junctions follow p_j(t) of their unit without spikes. The time slices of lateral
    inhibition have membranes of their own, unit and interneurons in turn, and the last ones are recorded.

    Args:
        network: what `to_biophysical` gives.
        images: the network's input, (N, ...), in [0, 1], a tensor or a numpy array, shown for the whole duration.
        duration: in ms, at least one step; rounded to whole ones.
        mode: ``"constant"`` or ``"spiking"``.
        step: dt in ms, > 0.
        rate_max: R, the spikes per second of a unit with p = 1, > 0 and at most `MOST_SPIKES` a step; for ``spiking``,
            as are the next three.
        tau_E: decay in ms of synapses from presynaptic channels of valence above 0, > 0.
        tau_I: of the other ones.
        generator: random generator on the images' device; torch's own by default.
        units: the units to record, by layer, numbered as in the flattened ``(units, *positions)``; every unit of every
            layer by default, and {} for none. By Python, numpy or torch.
        every: record every so many steps, >= 1.
        average_from: where the means over time begin, in ms, at most the duration.
        on_step: called after each step.

    Raises:
        InputError: an open probability lies outside [0, 1] (ResNets whose shortcuts join by ``sum`` are no
            membranes); a layer runs twice in one pass; an argument is outside its range.
        UnknownNameError: there is no such mode or layer.
    """
    steps = _count_steps(duration, step, every, average_from)
    spikes = _spikes(mode, step, rate_max, tau_E, tau_I, generator)
    chosen = _chosen(units, network.by_name)
    images = checked_images(network.model, images)
    populations: list[_Population] = []

    def opening(each: SynapseLayer) -> _Opening:
        return _as_open if spikes is None else _Traces(each, spikes)

    def membranes(each: MembraneLayer) -> _Population:
        populations.append(_Population(each, step, opening(each)))
        return populations[-1]

    coupled = couple(network, membranes, lambda each: _Projection(each, opening(each)))
    record = _Record(chosen)
    # 0.9 ms are 3 steps of 0.3 ms, whatever the quotient is rounded to; the last step always counts
    first_averaged = min(steps, math.ceil(average_from / step - 1e-6))
    for k in range(steps + 1):
        logits = coupled(images)
        potential = {each.membranes.name: each.take_shown() for each in populations}  # of several slices the last
        if k % every == 0:
            record.keep(k * step, potential, logits)
        if k >= first_averaged:
            record.average(potential, logits)
        if k and on_step is not None:
            on_step()
    return record.simulation()


class _Record:
    """The values of a simulation that are kept while it runs."""

    def __init__(self, chosen: Mapping[str, Tensor | None]) -> None:
        self.chosen = chosen
        self.time: list[float] = []
        self.logits: list[Tensor] = []
        self.potential: dict[str, list[Tensor]] = {name: [] for name in chosen}
        self.averaged = 0
        self.sums: dict[str, Tensor] = {}
        self.sum_of_logits = torch.zeros(())

    def keep(self, time: float, potential: Mapping[str, Tensor], logits: Tensor) -> None:
        """Keep this moment."""
        self.time.append(time)
        self.logits.append(logits)
        for name, indices in self.chosen.items():
            V = potential[name]
            self.potential[name].append(V if indices is None else V.flatten(1)[:, _within(indices, V, name)])

    def average(self, potential: Mapping[str, Tensor], logits: Tensor) -> None:
        """Count this moment among those that the means are of."""
        self.averaged += 1
        self.sum_of_logits = self.sum_of_logits + logits
        self.sums = {name: self.sums[name] + V if self.sums else V for name, V in potential.items()}

    def simulation(self) -> Simulation:
        """All that was kept."""
        return Simulation(
            torch.tensor(self.time, dtype=torch.float64),
            {name: torch.stack(values) for name, values in self.potential.items()},
            torch.stack(self.logits),
            {name: total / self.averaged for name, total in self.sums.items()},
            self.sum_of_logits / self.averaged,
        )


def _within(indices: Tensor, V: Tensor, name: str) -> Tensor:
    units = V[0].numel()
    if len(indices) and not 0 <= int(indices.min()) <= int(indices.max()) < units:
        raise InputError(f"units of layer {name}: it has {units} of them, numbered from 0")
    return indices


# The membranes -------------------------------------------------------------------------------------------------------


class _Population(nn.Module):
    """A layer's membranes: in the layer's place it gives what they open at the start of a step, and goes a step on."""

    def __init__(self, membranes: MembraneLayer, step: float, opening: "_Opening") -> None:
        super().__init__()
        self.membranes, self.step, self.opening = membranes, step, opening
        self.potential: Tensor | None = None
        self.before: Tensor | None = None

    def forward(self, p: Tensor, extra_conductances: Tensor | None = None) -> Tensor:
        """Open probabilities of the presynaptic units, (N, ...), to those of this layer's, or to its z."""
        membranes, potentials, layer = self.membranes, self.membranes.potentials, self.membranes.layer
        if self.before is not None:
            raise InputError(f"layer {membranes.name} runs twice in one pass; each use would be membranes of its own")
        check_input(membranes, p, extra_conductances)
        E, I = membranes.open_conductances(self.opening(membranes.per_presynaptic_neuron(p)), extra_conductances)
        V = self._at_rest(E) if self.potential is None else self.potential
        driving = potentials.maximum * E + potentials.minimum * I
        self.before, self.potential = V, exponential_step(V, E + I, driving, membranes.capacitance, self.step)
        return membranes.open_probability(V) if layer.activation == "relu" else potentials.to_valence(V)

    def take_shown(self) -> Tensor:
        """V at the start of the latest step."""
        V, self.before = self.before, None
        if V is None:
            raise InputError(f"layer {self.membranes.name} does not run when the network does; leave it out")
        return V

    def _at_rest(self, like: Tensor) -> Tensor:
        E_r = self.membranes.resting_potential
        return E_r.view(-1, *(1,) * (-1 - self.membranes.layer.channel_axis)).expand_as(like)


class _Projection(nn.Module):
    """Synapses onto another layer's units: in the place of a layer with ``average=False``."""

    def __init__(self, synapses: SynapseLayer, opening: "_Opening") -> None:
        super().__init__()
        self.synapses, self.opening = synapses, opening

    def forward(self, p: Tensor, extra_conductances: Tensor | None = None) -> Tensor:
        """Open probabilities of the presynaptic units to E' and I' in the layer's own units."""
        check_input(self.synapses, p, extra_conductances)
        opened = self.opening(self.synapses.per_presynaptic_neuron(p))
        both = torch.cat(self.synapses.synaptic_conductances(opened), self.synapses.layer.channel_axis)
        return both if extra_conductances is None else both + extra_conductances


# From open probabilities to what synapses open within a step.
_Opening = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class _Spikes:
    """How spikes are drawn, and how what they open decays."""

    step: float
    rate_max: float
    taus: tuple[float, float]
    generator: torch.Generator | None


class _Traces:
    """Synapses that their presynaptic units' spikes open: one trace s for each unit, not for each synapse."""

    def __init__(self, synapses: SynapseLayer, spikes: _Spikes) -> None:
        e = synapses.presynaptic.values
        tau = torch.where(e > 0, *spikes.taus).to(e).view(-1, *(1,) * (-1 - synapses.layer.channel_axis))
        self.generator = spikes.generator
        self.spikes_per_step = spikes.rate_max * spikes.step / MS_PER_SECOND
        self.quantum = MS_PER_SECOND / (spikes.rate_max * tau)
        self.decay, self.mean_of_step = decay_over_step(tau, spikes.step)
        self.trace = torch.zeros_like(tau)

    def __call__(self, p: Tensor) -> Tensor:
        """What the synapses open in the mean over a step in which their presynaptic units fire."""
        spikes = torch.poisson(p * self.spikes_per_step, self.generator)
        risen = torch.addcmul(self.trace, self.quantum, spikes)
        self.trace = risen * self.decay
        return risen * self.mean_of_step


def _as_open(p: Tensor) -> Tensor:
    """Without spikes synapses are as open as p says."""
    return p


# Arguments -----------------------------------------------------------------------------------------------------------


def _count_steps(duration: float, step: float, every: int, average_from: float) -> int:
    if not (0 < step <= duration < math.inf):
        raise InputError(f"duration={duration:g} ms with step={step:g} ms: give a step above 0, and at least one")
    if every < 1:
        raise InputError(f"every={every}: record every step (1) or every so many")
    if not 0 <= average_from <= duration:
        raise InputError(f"average_from={average_from:g} ms: give a time within the {duration:g} ms")
    return round(duration / step)


def _spikes(
    mode: str, step: float, rate_max: float, tau_E: float, tau_I: float, generator: torch.Generator | None
) -> _Spikes | None:
    if mode not in MODES:
        raise UnknownNameError("mode of simulation", mode, MODES)
    for name, value, unit in (("rate_max", rate_max, "spikes/s"), ("tau_E", tau_E, "ms"), ("tau_I", tau_I, "ms")):
        if not 0 < value < math.inf:
            raise InputError(f"{name} is {value:g} {unit}; give a finite number above 0")
    if mode == "constant":
        return None
    refuse_uncountable_spikes(rate_max, step)
    return _Spikes(step, rate_max, (tau_E, tau_I), generator)


def _chosen(units: Mapping[str, Units] | None, layers: Mapping[str, MembraneLayer]) -> dict[str, Tensor | None]:
    """The indices to record of each layer, None for all."""
    if units is None:
        return dict.fromkeys(layers)
    for name in units:
        if name not in layers:
            raise UnknownNameError("layer", name, layers)
    return {name: torch.tensor(whole_numbers(indices, f"units of layer {name}")) for name, indices in units.items()}
