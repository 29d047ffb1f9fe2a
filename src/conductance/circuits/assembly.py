"""From the description of a circuit to its network: one layer for each population."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from conductance.biophysics import PotentialRange
from conductance.checked import require_counts
from conductance.circuits.coding import InputCode
from conductance.circuits.network import Block, CircuitNetwork
from conductance.circuits.neurons import InputNeurons, PopulationNeurons
from conductance.circuits.population import Population
from conductance.circuits.projection import Projection
from conductance.circuits.rules import Convolution, Dense
from conductance.circuits.synapses import CONVOLUTIONS, LinearSynapses, PopulationSynapses, make_synapses
from conductance.errors import InputError
from conductance.memory import require_memory
from conductance.nn import Gate, LogisticGate
from conductance.nn.base import LEAK_SHARE
from conductance.nn.settling import settle

AnyNeurons = InputNeurons | PopulationNeurons
# G_r of neurons that nothing inhibits, as a share of the conductance that all their synapses have at the start. Their
# leak is all that excitation competes with: with less, interneurons are open all the way at once, and the circuits that
# they inhibit end at chance (docs/circuits.md).
EXCITED_LEAK_SHARE = 1.0

_BYTES_OF_AN_OPENING = 4  # of one synapse in one slice

GATES = {"rectified": Gate, "logistic": LogisticGate}


def assemble(
    inputs: Mapping[str, InputNeurons],
    populations: Sequence[PopulationNeurons],
    projections: Sequence[Projection],
    outputs: Sequence[str],
    readout: nn.Module | int | None,
    potentials: PotentialRange,
    *,
    slice_duration: float,
    settled: bool,
    **running: Any,
) -> CircuitNetwork:
    """The network of a circuit.

    Args:
        inputs: by name.
        populations: in the order in which they act within a slice.
        projections: all of them.
        outputs: names of the populations that are read.
        readout: see `Circuit.build`.
        potentials: the mV that valences -1 and +1 stand for.
        slice_duration: in ms.
        settled: whether loops are weakened until slices come to rest.
        running: options of `CircuitNetwork`.

    Raises:
        InputError: a neuron without a synapse, or grids that do not fit.
    """
    neurons: dict[str, AnyNeurons] = {**inputs, **{each.name: each for each in populations}}
    for each in projections:
        units = neurons[each.source].places.units
        require_memory(
            _BYTES_OF_AN_OPENING * each.delay * units,
            f"{each} remembers {each.delay:,} slices of {units:,} neurons, which for one sample",
            "give it a shorter delay",
        )
    modules, blocks = {}, {}
    for population in populations:
        # sources of one valence side by side, so that the products need not sort them in every slice
        own = sorted(
            (each for each in projections if each.target == population.name),
            key=lambda each: -float(neurons[each.source].valence.mean()),
        )
        modules[population.name] = _population(population, own, neurons, slice_duration)
        blocks[population.name] = _blocks(own, neurons)
    readout = _readout(readout, sum(neurons[name].places.units for name in outputs))
    codes = {name: InputCode(each.shape, each.places, each.coding) for name, each in inputs.items()}
    valences = {name: each.valence for name, each in neurons.items()}
    free_leaks = [each.name for each in populations if each.membrane["resting_conductance"] is None]
    network = CircuitNetwork(
        codes,
        modules,
        blocks,
        valences,
        outputs,
        readout,
        potentials,
        slice_duration=slice_duration,
        free_leaks=free_leaks,
        **running,
    )
    _set_given(network, projections)
    if settled:
        settle_on_noise(network)
    return network


def _readout(readout: nn.Module | int | None, units: int) -> nn.Module | None:
    """What reads so many units.

    Raises:
        InputError: no outputs, or a module for another number of units.
    """
    if isinstance(readout, int):
        require_counts(readout=readout)
        return nn.Linear(units, readout)
    first = readout
    while isinstance(first, nn.Sequential) and len(first):
        first = first[0]
    reads = getattr(first, "in_features", units)
    if reads != units:
        raise InputError(f"readout: {type(first).__name__} reads {reads} values, but the outputs have {units} neurons")
    return readout


def _population(
    population: PopulationNeurons, projections: Sequence[Projection], neurons: Mapping[str, AnyNeurons], duration: float
) -> Population:
    sources = [neurons[each.source] for each in projections]
    kernel = _shared_kernel(population, projections, neurons)
    make = _dense_synapses if kernel is None else _convolutional_synapses
    synapses = make(population, projections, sources)
    if population.gate is not None:
        kind, threshold, width, learn = population.gate
        synapses.gate = GATES[kind](
            population.places.channels if kernel else population.places.units,
            synapses.channel_axis,
            threshold=threshold,
            width=width,
            learn=learn,
        )
    return Population(
        synapses,
        population.places,
        None if kernel is None else sources[0].places.grid,
        tau_membrane=population.tau_membrane,
        tau_synapse=population.tau_synapse,
        duration=duration,
        pooled_interneuron=population.pooled_interneuron,
    )


def _options(
    population: PopulationNeurons, unit_valence: Tensor, synapses_of_each: Tensor, are_inhibited: Tensor
) -> dict[str, Any]:
    at_once = population.tau_membrane is None
    options = {**population.membrane, "unit_valence": unit_valence, "average": at_once}
    options["pooled_interneuron"] = at_once and population.pooled_interneuron
    if options["resting_conductance"] is None:
        options["resting_conductance"] = synapses_of_each * torch.where(are_inhibited, LEAK_SHARE, EXCITED_LEAK_SHARE)
    return options


# Every neuron its own synapses ----------------------------------------------------------------------------------------


def _dense_synapses(
    population: PopulationNeurons, projections: Sequence[Projection], sources: Sequence[AnyNeurons]
) -> PopulationSynapses:
    units = population.places.units
    masks = [each.mask(source.places, population.places) for each, source in zip(projections, sources, strict=True)]
    exists = torch.cat(masks, 1)
    count = exists.sum(1)
    if not bool(count.all()):
        raise InputError(
            f"population {population.name!r}: {int((count == 0).sum())} of {units} neurons have no synapse, the first "
            f"is number {int(count.argmin())}; loosen the rules of its projections, or choose InDegree"
        )
    valence = torch.cat([source.valence for source in sources])
    plastic = torch.cat(
        [torch.full((1, mask.shape[1]), each.plastic) for each, mask in zip(projections, masks, strict=True)], 1
    )
    return make_synapses(
        LinearSynapses,
        (exists.shape[1], units),
        None if all(isinstance(each.rule, Dense) for each in projections) else exists,
        None if bool(plastic.all()) else plastic,
        valence=valence,
        **_options(population, population.valence, count, (exists & (valence < 0)).any(1)),
    )


# The same kernel at every point ---------------------------------------------------------------------------------------


def _shared_kernel(
    population: PopulationNeurons, projections: Sequence[Projection], neurons: Mapping[str, AnyNeurons]
) -> Convolution | None:
    """The kernel of a convolutional population.

    Raises:
        InputError: its projections are of different kinds, or a grid does not fit.
    """
    shared = [each for each in projections if each.is_shared]
    if not shared:
        return None
    rule, grid = shared[0].rule, neurons[shared[0].source].places.grid
    assert isinstance(rule, Convolution)
    for each in projections:
        if each.rule != rule:
            raise InputError(
                f"population {population.name!r} is convolutional by {shared[0]}, but {each} has another rule; give "
                "all of its projections the same Convolution"
            )
        if neurons[each.source].places.grid != grid:
            raise InputError(
                f"{each} comes from the grid {neurons[each.source].places.grid}, but {shared[0]} from {grid}; the "
                "sources of a convolutional population need one grid"
            )
    try:
        reached = rule.output_grid(grid)
    except InputError as error:
        raise InputError(f"{shared[0]}: {error}") from None
    if reached != population.places.grid:
        raise InputError(
            f"{shared[0]}: a convolution of the grid {grid} leads to {reached}, but the target's grid is "
            f"{population.places.grid}; change the grid, or kernel_size, stride and padding"
        )
    return rule


def _convolutional_synapses(
    population: PopulationNeurons, projections: Sequence[Projection], sources: Sequence[AnyNeurons]
) -> PopulationSynapses:
    axes, channels = len(population.places.grid), population.places.channels
    rule = projections[0].rule
    assert isinstance(rule, Convolution)
    kernel, stride, padding = rule.per_axis(axes)
    valence = torch.cat([_per_channel(source) for source in sources])
    plastic = torch.cat(
        [torch.full((source.places.channels,), each.plastic) for each, source in zip(projections, sources, strict=True)]
    ).view(1, -1, *(1,) * axes)
    count = torch.full((channels,), float(len(valence) * torch.tensor(kernel).prod()))
    return make_synapses(
        CONVOLUTIONS[axes],
        (len(valence), channels, kernel, stride, padding),
        None,
        None if bool(plastic.all()) else plastic,
        valence=valence,
        **_options(population, _per_channel(population), count, (valence < 0).any().expand(channels)),
    )


def _per_channel(neurons: AnyNeurons) -> Tensor:
    """The valence of each channel.

    Raises:
        InputError: it is not the same at every point.
    """
    values = neurons.valence.view(neurons.places.channels, -1)
    if bool((values != values[:, :1]).any()):
        raise InputError(f"{neurons.name!r}: a convolution needs one valence for each channel, the same at every point")
    return values[:, 0]


# Where loops start ----------------------------------------------------------------------------------------------------

NOISE_SAMPLES = 8


def settle_on_noise(network: CircuitNetwork) -> None:
    """Weaken loops until slices come to rest, on inputs of noise that leave torch's random numbers alone."""
    if not any(bool(network._closes_loop(name).any()) for name in network.blocks):
        return
    random = torch.Generator().manual_seed(0)
    noise = [torch.rand(NOISE_SAMPLES, *code.shape, generator=random) for code in network.inputs.values()]
    like = next(iter(network.parameters()))
    settle(network.slice_map(*(each.to(like) for each in noise)))


# Where projections lie ------------------------------------------------------------------------------------------------


def _blocks(projections: Sequence[Projection], neurons: Mapping[str, AnyNeurons]) -> list[Block]:
    blocks, start = [], 0
    for each in projections:
        places = neurons[each.source].places
        stop = start + (places.channels if each.is_shared else places.units)
        blocks.append(Block(each.source, each.delay, start, stop, each.conductance is not None or not each.plastic))
        start = stop
    return blocks


def _set_given(network: CircuitNetwork, projections: Sequence[Projection]) -> None:
    for each in projections:
        if each.conductance is not None:
            network.set_conductance(each.source, each.target, each.conductance, each.delay)
