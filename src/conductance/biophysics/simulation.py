"""A trained network in time: its layers as coupled membranes, driven by constant open probabilities or by spikes."""

import math
import warnings
from collections.abc import Callable, Collection, Mapping
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from conductance.biophysics._checks import Units, whole_numbers
from conductance.biophysics.coupling import couple
from conductance.biophysics.in_time import CircuitInTime, Membranes, Moment, Synapses
from conductance.biophysics.layers import MembraneLayer, SynapseLayer
from conductance.biophysics.network import BiophysicalNetwork, checked_images
from conductance.biophysics.openings import Opening, Relaxing, Spikes, Traces, as_open
from conductance.biophysics.recording import Quantity, Recorder, Simulation
from conductance.biophysics.spikes import TAU_E, TAU_I, refuse_uncountable_spikes
from conductance.biophysics.wiring import MembraneCircuit
from conductance.bounds import require_within
from conductance.checked import checked
from conductance.errors import InputError, UnknownNameError
from conductance.memory import require_memory

Mode = Literal["constant", "spiking"]

MOST_STEPS = 10**7
"""Of one simulation."""
RATE_MAX = 1000.0  # spikes per second
POTENTIAL: tuple[Quantity, ...] = ("potential",)


@checked
@torch.no_grad()
def simulate(
    network: BiophysicalNetwork,
    images: Any,
    duration: float,
    *,
    mode: Mode = "constant",
    step: float = 1.0,
    rate_max: float = RATE_MAX,
    tau_E: float = TAU_E,
    tau_I: float = TAU_I,
    generator: torch.Generator | None = None,
    units: Mapping[str, Units] | None = None,
    record: Quantity | Collection[Quantity] = POTENTIAL,
    every: int = 1,
    average_from: float = 0.0,
    on_step: Callable[[], object] | None = None,
) -> Simulation:
    """Run a trained network as coupled membranes, all of which start at their resting potentials.

        C dV_i/dt = G_r (E_r - V_i) + sum_j G_ij s_j(t) (E_j - V_i),   p_i(t) = max(z_i(t), 0)

    with z the rescaled V, or by a gate of the layer's own (`MembraneLayer.open_probability`). During each step
    conductances are constant, and V relaxes exponentially to their steady state (`relax`): V stays between the reversal
    potentials at any step size, and the steady state is exact. Only the change of p within a step is neglected.

    ``constant``: s_j = p_j(t), so that V comes to rest at the network's own z, in mV.

    ``spiking``: each presynaptic unit j, input pixels included, fires as a Poisson process at the rate p_j(t) R. A
    spike raises s_j by 1 / (R tau_j), which decays with tau_j; on average s_j = p_j. All synapses of a unit onto one
    layer see the same spikes. The two copies of a doubled input are two neurons; a unit that is read by two layers
    (where a ResNet branches) has a train for each.

    Conductances that join a layer's average are there at every moment: synapses of layers with ``average=False`` are
    open like all others, gap junctions follow p_j(t) of their unit without spikes. The time slices of lateral
    inhibition have membranes of their own, unit and interneurons in turn, and the last ones are recorded. So have the
    units that a pooled interneuron reads before it acts on them; it follows the mean of their V(t) at once.

    A circuit's populations read what all of them sent, each projection as long ago as it is delayed (in whole steps);
    before 0 ms nobody sent anything. With a ``tau_synapse`` of their own, synapses follow ds/dt = (p - s)/tau, and
    their spikes decay with it. Each neuron has one train, for all that it projects onto. The elements of a sequence
    last as long as in the circuit, the last one until the end.

    Args:
        network: what `to_biophysical` gives.
        images: the network's input, (N, ...), in [0, 1], a tensor or a numpy array, shown for the whole duration; a
            tuple of them for a network with several inputs.
        duration: in ms, at least one step; rounded to whole ones.
        mode: ``"constant"`` or ``"spiking"``.
        step: dt in ms, > 0.
        rate_max: R, the spikes per second of a unit with p = 1, > 0 and at most `MOST_SPIKES` a step; for ``spiking``,
            as are the next three.
        tau_E: decay in ms of synapses from presynaptic channels of valence above 0, > 0.
        tau_I: of the other ones.
        generator: random generator on the images' device; torch's own by default.
        units: the units to record, by layer, numbered as in the flattened ``(units, *positions)``; every unit of every
            layer by default, and {} for none. By Python, numpy or torch. Those whose spikes to record likewise, by the
            names of `BiophysicalNetwork.trains`.
        record: what to record of them: "potential", "conductances" (E', I'), "currents", "spikes".
        every: record every so many steps, >= 1.
        average_from: where the means over time begin, in ms, at most the duration.
        on_step: called after each step.

    Raises:
        InputError: an open probability lies outside [0, 1] (ResNets whose shortcuts join by ``sum`` are no
            membranes); a layer runs twice in one pass; an argument is outside its range.
        UnknownNameError: there is no such mode, layer or quantity.

    Warns:
        UserWarning: R tau_j < 1, so that one spike opens more than all of a synapse's conductance.
    """
    steps = _count_steps(duration, step, every, average_from)
    quantities = _quantities(record)
    spikes = _spikes(mode, step, rate_max, tau_E, tau_I, generator, "spikes" in quantities)
    running = _Running(step, spikes)
    recorder = Recorder(_chosen(units, {*network.by_name, *network.trains}), quantities)
    images = checked_images(network.model, images)
    coupled = couple(network, running.membranes, running.synapses, running.circuit)
    running.warn_of_large_spikes()
    # 0.9 ms are 3 steps of 0.3 ms, whatever the quotient is rounded to; the last step always counts
    first_averaged = min(steps, math.ceil(average_from / step - 1e-6))
    for k in range(steps + 1):
        output = coupled(*images)
        logits = output[0] if isinstance(output, tuple) else output
        moments = running.take_moments()
        if k % every == 0:
            recorder.keep(k * step, moments, running.trains, logits)
        if k == 0:
            records = steps // every + 1
            require_memory(
                2 * recorder.size * records,  # kept one by one, then put together
                f"a simulation of {records:,} records",
                "record fewer units or images, or less often (every)",
                images[0].device,
            )
        if k >= first_averaged:
            recorder.average(moments, logits)
        if k and on_step is not None:
            on_step()
    return recorder.simulation()


class _Running:
    """What stands for the parts of a network while it runs, and all trains of spikes between them.

    Args:
        step: in ms.
        spikes: None where synapses are as open as p says.
    """

    def __init__(self, step: float, spikes: Spikes | None) -> None:
        self.step, self.spikes = step, spikes
        self.populations: list[Membranes] = []
        self.trains: dict[str, Traces] = {}

    def membranes(self, each: MembraneLayer) -> Membranes:
        """In the place of a layer."""
        self.populations.append(Membranes(each, self.step, self._onto(each)))
        return self.populations[-1]

    def synapses(self, each: SynapseLayer) -> Synapses:
        """In the place of a layer of synapses alone."""
        return Synapses(each, self._onto(each))

    def circuit(self, each: MembraneCircuit) -> CircuitInTime:
        """In the place of a circuit."""
        populations = {name: Membranes(membranes, self.step) for name, membranes in each.membranes.items()}
        self.populations += populations.values()
        openings = {name: self._of(each, name) for name in (*each.wiring.inputs, *populations)}
        return CircuitInTime(each, populations, openings, self.step)

    def _onto(self, each: SynapseLayer) -> Opening:
        """From the neurons that a layer reads to what they open."""
        if self.spikes is None:
            return as_open
        train = Traces(each.along_channels(each.presynaptic.values), self.spikes)
        self.trains[f"onto {each.name}"] = train
        return train

    def _of(self, circuit: MembraneCircuit, name: str) -> Opening:
        """From the neurons of an input or population to what they open."""
        wired = circuit.wiring.populations.get(name)
        tau = None if wired is None else wired.tau_synapse
        if self.spikes is None:
            return as_open if tau is None else Relaxing(tau, self.step)
        train = Traces(circuit.wiring.valences[name], self.spikes, tau)
        self.trains[circuit.names[name]] = train
        return train

    def take_moments(self) -> dict[str, tuple[Membranes, Moment]]:
        """What was at the start of the latest step, by layer; of several time slices the last."""
        return {each.membranes.name: (each, each.take_moment()) for each in self.populations}

    def warn_of_large_spikes(self) -> None:
        """Warn where one spike opens more than a synapse has."""
        if self.spikes is None or not self.trains:
            return
        shortest = min((train.tau.min() for train in self.trains.values()), key=float)
        opened = float(self.spikes.quantum(shortest))
        if opened > 1:
            rate_max = self.spikes.rate_max
            warnings.warn(
                f"rate_max={rate_max:g} spikes/s with synapses of {shortest:g} ms: one spike opens {opened:.3g} times "
                f"the conductance that its synapses have; give {rate_max * opened:g} spikes/s or more, or slower "
                "synapses",
                UserWarning,
                stacklevel=3,
            )


# Arguments -----------------------------------------------------------------------------------------------------------


def _count_steps(duration: float, step: float, every: int, average_from: float) -> int:
    if not (0 < step <= duration < math.inf):
        raise InputError(f"duration={duration:g} ms with step={step:g} ms: give a step above 0, and at least one")
    require_within("duration/step", duration / step, MOST_STEPS, work=duration / step)
    if every < 1:
        raise InputError(f"every={every}: record every step (1) or every so many")
    if not 0 <= average_from <= duration:
        raise InputError(f"average_from={average_from:g} ms: give a time within the {duration:g} ms")
    return round(duration / step)


def _spikes(
    mode: Mode,
    step: float,
    rate_max: float,
    tau_E: float,
    tau_I: float,
    generator: torch.Generator | None,
    counted: bool,
) -> Spikes | None:
    if mode not in get_args(Mode):
        raise UnknownNameError("mode of simulation", mode, get_args(Mode))
    for name, value, unit in (("rate_max", rate_max, "spikes/s"), ("tau_E", tau_E, "ms"), ("tau_I", tau_I, "ms")):
        if not 0 < value < math.inf:
            raise InputError(f"{name} is {value:g} {unit}; give a finite number above 0")
    if mode == "constant":
        return None
    refuse_uncountable_spikes(rate_max, step)
    return Spikes(step, rate_max, (tau_E, tau_I), generator, counted)


def _quantities(record: Quantity | Collection[Quantity]) -> set[Quantity]:
    chosen: set[Quantity] = {record} if isinstance(record, str) else set(record)
    for quantity in chosen:
        if quantity not in get_args(Quantity):
            raise UnknownNameError("quantity to record", quantity, get_args(Quantity))
    return chosen


def _chosen(units: Mapping[str, Units] | None, known: Collection[str]) -> dict[str, Tensor] | None:
    """The indices to record, by name, None for all."""
    if units is None:
        return None
    for name in units:
        if name not in known:
            raise UnknownNameError("layer", name, known)
    return {name: torch.tensor(whole_numbers(indices, f"units of layer {name}")) for name, indices in units.items()}
