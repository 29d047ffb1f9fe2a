"""A trained network in time: its layers as coupled membranes, driven by constant open probabilities or by spikes."""

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from conductance.biophysics._checks import refuse_bad_probability
from conductance.biophysics.membrane import exponential_step
from conductance.biophysics.network import BiophysicalNetwork, MembraneLayer
from conductance.biophysics.spikes import MS_PER_SECOND, TAU_E, TAU_I, decay_over_step, refuse_uncountable_spikes
from conductance.errors import InputError, UnknownNameError

MODES = ("constant", "spiking")


@dataclass(frozen=True)
class Simulation:
    """What the membranes of a network did.

    Attributes:
        time: of each record in ms, (T,), from 0 on, in float64.
        potential: V in mV by layer, (T, N, units, *positions), or (T, N, chosen units).
        logits: what the readout makes of the last layer's open probabilities, (T, N, classes).
        mean_potential: V in mV by layer in the mean over all steps from `average_from` on, (N, units, *positions).
        mean_logits: the logits likewise, (N, classes).
    """

    time: Tensor
    potential: dict[str, Tensor]
    logits: Tensor
    mean_potential: dict[str, Tensor]
    mean_logits: Tensor


@torch.no_grad()
def simulate(
    network: BiophysicalNetwork,
    images: Tensor,
    duration: float,
    *,
    mode: str = "constant",
    step: float = 1.0,
    rate_max: float = 100.0,
    tau_E: float = TAU_E,
    tau_I: float = TAU_I,
    generator: torch.Generator | None = None,
    units: Mapping[str, Sequence[int]] | None = None,
    every: int = 1,
    average_from: float = 0.0,
    on_step: Callable[[], object] | None = None,
) -> Simulation:
    """Run a trained network as coupled membranes, all of which start at their resting potentials.

        C dV_i/dt = G_r (E_r - V_i) + sum_j G_ij s_j(t) (E_j - V_i),   p_i(t) = max(z_i(t), 0)

    with z the rescaled V (`MembraneLayer.open_probability`). During each step conductances count as constant, and V
    goes towards their steady state as an exponential (`relax`): V stays between the reversal potentials at any step,
    what is lost is the change of p within a step, and the steady state is exact.

    ``constant``: s_j = p_j(t), so that V comes to rest at the network's own z, in mV.

    ``spiking``: each presynaptic unit j, input pixels included, fires as a Poisson process at the rate p_j(t) R. A
    spike raises s_j by 1 / (R tau_j), which decays with tau_j; s_j is p_j in the mean over time. All synapses of a
    unit see the same spikes. The two copies of a doubled input are two neurons; a unit that is read by two layers
    (where a ResNet branches) has a train for each.

    Args:
        network: what `to_biophysical` gives.
        images: the network's input, (N, ...), in [0, 1], held on for the whole duration.
        duration: in ms, at least one step; rounded to whole ones.
        mode: ``"constant"`` or ``"spiking"``.
        step: dt in ms, > 0.
        rate_max: R, the spikes per second of a unit with p = 1, > 0 and at most `MOST_SPIKES` a step; for ``spiking``,
            as are the next three.
        tau_E: decay in ms of synapses from presynaptic channels of valence above 0, > 0.
        tau_I: of the other ones.
        generator: the source of chance, on the images' device; torch's own by default.
        units: the units to record, by layer, numbered as in the flattened (units, *positions); every unit of every
            layer by default, and {} for none.
        every: record every so many steps, >= 1.
        average_from: where the means over time begin, in ms, at most the duration.
        on_step: called after each step.

    Raises:
        InputError: an open probability lies outside [0, 1] (ResNets whose shortcuts join by ``sum`` are no
            membranes); a layer runs twice in one pass; an argument is outside its range.
        UnknownNameError: there is no such mode or layer.
    """
    steps = _count_steps(duration, step, every, average_from)
    synapses = _synapses(mode, step, rate_max, tau_E, tau_I, generator)
    populations = {each.name: _Population(each, step, synapses) for each in network.layers}
    coupled = _in_place_of_layers(network.model, populations)
    chosen = _chosen(units, populations)
    record = _Record(chosen)
    # 0.9 ms are 3 steps of 0.3 ms, whatever the quotient rounds to; the last step counts in any case
    first_averaged = min(steps, math.ceil(average_from / step - 1e-6))
    for k in range(steps + 1):
        logits = coupled(images)
        potential = {name: population.take_shown() for name, population in populations.items()}
        if k % every == 0:
            record.keep(k * step, potential, logits)
        if k >= first_averaged:
            record.average(potential, logits)
        if k and on_step is not None:
            on_step()
    return record.simulation()


class _Record:
    """What is kept of a simulation while it runs."""

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

    def __init__(self, membranes: MembraneLayer, step: float, synapses: "_Synapses | None") -> None:
        super().__init__()
        self.membranes, self.step = membranes, step
        self.synapses = _Spiking(membranes, synapses) if synapses else _Constant(membranes)
        self.potential: Tensor | None = None
        self.before: Tensor | None = None

    def forward(self, p: Tensor) -> Tensor:
        """Open probabilities of the presynaptic units, (N, ...), to those of this layer's, or to its z."""
        membranes, potentials, layer = self.membranes, self.membranes.potentials, self.membranes.layer
        if self.before is not None:
            raise InputError(f"layer {membranes.name} runs twice in one pass; each use would be membranes of its own")
        refuse_bad_probability(p, f"the input of layer {membranes.name}: open_probability")
        E, I = self.synapses.open_conductances(p)
        V = self._at_rest(E) if self.potential is None else self.potential
        driving = potentials.maximum * E + potentials.minimum * I
        self.before, self.potential = V, exponential_step(V, E + I, driving, membranes.capacitance, self.step)
        return membranes.open_probability(V) if layer.activation == "relu" else potentials.to_valence(V)

    def take_shown(self) -> Tensor:
        """V at the start of the step that was just made."""
        V, self.before = self.before, None
        if V is None:
            raise InputError(f"layer {self.membranes.name} does not run when the network does; leave it out")
        return V

    def _at_rest(self, like: Tensor) -> Tensor:
        E_r = self.membranes.resting_potential
        return E_r.view(-1, *(1,) * (-1 - self.membranes.layer.channel_axis)).expand_as(like)


@dataclass(frozen=True)
class _Synapses:
    """How spikes are drawn, and how what they open decays."""

    step: float
    rate_max: float
    taus: tuple[float, float]
    generator: torch.Generator | None


class _Spiking:
    """Synapses that their presynaptic units' spikes open: one trace s for each unit, not for each synapse."""

    def __init__(self, membranes: MembraneLayer, synapses: _Synapses) -> None:
        self.membranes, self.generator = membranes, synapses.generator
        e = membranes.presynaptic.values
        tau = torch.where(e > 0, *synapses.taus).to(e).view(-1, *(1,) * (-1 - membranes.layer.channel_axis))
        self.spikes_per_step = synapses.rate_max * synapses.step / MS_PER_SECOND
        self.quantum = MS_PER_SECOND / (synapses.rate_max * tau)
        self.decay, self.mean_of_step = decay_over_step(tau, synapses.step)
        self.trace = torch.zeros_like(tau)

    def open_conductances(self, p: Tensor) -> tuple[Tensor, Tensor]:
        """E' and I' in nS, in the mean over a step in which the presynaptic units fire."""
        p = self.membranes.per_presynaptic_neuron(p)
        spikes = torch.poisson(p * self.spikes_per_step, self.generator)
        risen = torch.addcmul(self.trace, self.quantum, spikes)
        self.trace = risen * self.decay
        return self.membranes.open_conductances(risen * self.mean_of_step)


class _Constant:
    """Synapses that are as open as p says."""

    def __init__(self, membranes: MembraneLayer) -> None:
        self.membranes = membranes

    def open_conductances(self, p: Tensor) -> tuple[Tensor, Tensor]:
        """E' and I' in nS."""
        E, I = self.membranes.layer.excitation_inhibition(p)
        return self.membranes.nanosiemens * E, self.membranes.nanosiemens * I


def _in_place_of_layers(model: nn.Module, populations: Mapping[str, _Population]) -> nn.Module:
    """A copy of the model in evaluation mode, with populations where its conductance layers stand."""
    return copy.deepcopy(model, {id(each.membranes.layer): each for each in populations.values()}).eval()


# What was asked for --------------------------------------------------------------------------------------------------


def _count_steps(duration: float, step: float, every: int, average_from: float) -> int:
    if not (0 < step <= duration < math.inf):
        raise InputError(f"duration={duration:g} ms with step={step:g} ms: give a step above 0, and at least one")
    if every < 1:
        raise InputError(f"every={every}: record every step (1) or every so many")
    if not 0 <= average_from <= duration:
        raise InputError(f"average_from={average_from:g} ms: give a time within the {duration:g} ms")
    return round(duration / step)


def _synapses(
    mode: str, step: float, rate_max: float, tau_E: float, tau_I: float, generator: torch.Generator | None
) -> _Synapses | None:
    if mode not in MODES:
        raise UnknownNameError("mode of simulation", mode, MODES)
    for name, value, unit in (("rate_max", rate_max, "spikes/s"), ("tau_E", tau_E, "ms"), ("tau_I", tau_I, "ms")):
        if not 0 < value < math.inf:
            raise InputError(f"{name} is {value:g} {unit}; give a finite number above 0")
    if mode == "constant":
        return None
    refuse_uncountable_spikes(rate_max, step)
    return _Synapses(step, rate_max, (tau_E, tau_I), generator)


def _chosen(
    units: Mapping[str, Sequence[int]] | None, populations: Mapping[str, _Population]
) -> dict[str, Tensor | None]:
    """The indices to record of each layer, None for all."""
    if units is None:
        return dict.fromkeys(populations)
    for name in units:
        if name not in populations:
            raise UnknownNameError("layer", name, populations)
    return {name: torch.as_tensor(indices, dtype=torch.int64) for name, indices in units.items()}
