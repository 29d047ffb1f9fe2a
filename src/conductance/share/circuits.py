"""Circuits in plain values: grids, projections, and the synapses that there are."""

from typing import Any

import torch
from torch import nn

from conductance.biophysics import PotentialRange
from conductance.circuits.coding import InputCode
from conductance.circuits.network import Block, CircuitNetwork
from conductance.circuits.places import Places
from conductance.circuits.population import Population
from conductance.circuits.synapses import CONVOLUTIONS, LinearSynapses, PopulationSynapses
from conductance.share.kinds import Kind, Modules, Options, plain
from conductance.share.layers import build_averaging, describe_averaging, runs_of_values, values_of

_RUNNING = ("slices", "slice_duration", "tolerance", "truncation", "checkpoint")
_CHOICES = ("exists", "plastic", "constant")


# Synapses -------------------------------------------------------------------------------------------------------------


def _synapses(name: str, module: type[PopulationSynapses]) -> Kind:
    def describe(layer: PopulationSynapses) -> Options:
        chosen = [choice for choice in _CHOICES if layer._buffers.get(choice) is not None]
        return {**describe_averaging(layer), "chosen": chosen}

    def build(options: Options, modules: Modules) -> nn.Module:
        del modules
        chosen = options["chosen"]
        layer = build_averaging(module, {key: value for key, value in options.items() if key != "chosen"})
        assert isinstance(layer, PopulationSynapses)
        for choice in _CHOICES:
            like = torch.empty_like(layer.g, dtype=None if choice == "constant" else torch.bool)
            layer.register_buffer(choice, like.detach() if choice in chosen else None)
        return layer

    return Kind(name, module, describe, build)


# Populations ----------------------------------------------------------------------------------------------------------


def _describe_places(places: Places) -> Options:
    return {"grid": plain(places.grid), "channels": places.channels}


def _build_places(options: Any) -> Places:
    return Places(tuple(int(size) for size in options["grid"]), int(options["channels"]))


def _describe_population(population: Population) -> Options:
    return {
        "places": _describe_places(population.places),
        "source_grid": plain(population.source_grid),
        "leaky": population.leaky,
        "pooled_interneuron": population.pooled_interneuron,
        "tau_synapse": population.tau_synapse,
        "synapse_memory": population.synapse_memory,
    }


def _build_population(options: Options, modules: Modules) -> nn.Module:
    synapses, grid = modules["synapses"], options["source_grid"]
    if not isinstance(synapses, PopulationSynapses):
        raise TypeError("a population has no synapses")
    population = Population(
        synapses,
        _build_places(options["places"]),
        None if grid is None else tuple(int(size) for size in grid),
        tau_membrane=1.0 if options["leaky"] else None,  # what it stands for is among the weights
        tau_synapse=options["tau_synapse"],
        duration=1.0,
        pooled_interneuron=bool(options["pooled_interneuron"]),
    )
    population.synapse_memory = float(options["synapse_memory"])
    return population


# The whole circuit ----------------------------------------------------------------------------------------------------


def _describe_circuit(network: CircuitNetwork) -> Options:
    return {
        "inputs": {
            name: {"shape": plain(code.shape), "coding": code.coding, **_describe_places(code.places)}
            for name, code in network.inputs.items()
        },
        "projections": {name: [plain(block) for block in blocks] for name, blocks in network.blocks.items()},
        "valences": {name: runs_of_values(network.valence(name)) for name in (*network.inputs, *network.populations)},
        "outputs": plain(network.outputs),
        "potentials": [network.potentials.minimum, network.potentials.maximum],
        **{name: plain(getattr(network, name)) for name in _RUNNING},
    }


def _build_circuit(options: Options, modules: Modules) -> nn.Module:
    populations = modules["populations"]
    if not isinstance(populations, nn.ModuleDict):
        raise TypeError("a circuit has no populations")
    inputs = {
        name: InputCode(tuple(map(int, code["shape"])), _build_places(code), code["coding"])
        for name, code in options["inputs"].items()
    }
    with torch.device("cpu"):  # the range is looked at, wherever the circuit is to live
        potentials = PotentialRange(*map(float, options["potentials"]))
    return CircuitNetwork(
        inputs,
        dict(populations.items()),  # type: ignore[arg-type]
        {name: [Block(*block) for block in blocks] for name, blocks in options["projections"].items()},
        {name: values_of(runs) for name, runs in options["valences"].items()},
        options["outputs"],
        modules.get("readout"),
        potentials,
        **{name: options[name] for name in _RUNNING},
    )


CIRCUIT_KINDS = (
    _synapses("LinearSynapses", LinearSynapses),
    *(_synapses(f"ConvolutionSynapses{axes}d", module) for axes, module in CONVOLUTIONS.items()),
    Kind("Population", Population, _describe_population, _build_population, holds=True),
    Kind("CircuitNetwork", CircuitNetwork, _describe_circuit, _build_circuit, holds=True),
)
