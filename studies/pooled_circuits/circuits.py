"""Two layers of neurons under Dale's law, or free of it, with interneurons that pool a layer in several ways."""

from itertools import pairwise

import torch
from torch import nn

from conductance.circuits import Circuit, Mask
from conductance.circuits.circuit import Neurons
from conductance.circuits.network import CircuitNetwork
from conductance.nn import CWALinear

SIDE, CLASSES, WIDTHS = 28, 10, (144, 72)
SLICES, TAU_MEMBRANE, TAU_SYNAPSE = 4, 20.0, 2.0
FEEDBACK = 0.5  # of what a neuron's other synapses have together, at the start

NONE, AT_ONCE, PER_CLASS = "none", "one pool, at once", "a pool for each class, at once"
SLOW_NONE, SLOW, SLOW_PER_CLASS = (
    "slow membranes, none",
    "slow membranes, one pool",
    "slow membranes, a pool for each class",
)
SYNAPTIC, SYNAPTIC_LEARNED = "synaptic pool, a slice later", "synaptic pool, reading learned"
FREE, FREE_POOLED, AFFINE = "free of Dale's law, none", "free of Dale's law, one pool", "affine"
UNDER_DALE = (NONE, AT_ONCE, PER_CLASS, SLOW_NONE, SLOW, SLOW_PER_CLASS, SYNAPTIC, SYNAPTIC_LEARNED)
CONDITIONS = (*UNDER_DALE, FREE, FREE_POOLED, AFFINE)


def build(name: str) -> nn.Module:
    """The network of a condition, for images (N, 28, 28)."""
    if name == AFFINE:
        return _affine()
    return _free(name == FREE_POOLED) if name in (FREE, FREE_POOLED) else under_dale(name)


def under_dale(name: str) -> CircuitNetwork:
    """Each neuron excites or inhibits, half of each layer does either; the image is doubled.

    The pools of the package read potentials. A synaptic pool is a population of one neuron that reads what the
    excitatory half of a layer sends, and inhibits the whole layer a slice later.
    """
    circuit = Circuit()
    sources = [circuit.input("x", (SIDE, SIDE), coding="doubled")]
    for level, width in enumerate(WIDTHS, start=1):
        layer = _layer(circuit, name, level, width)
        for source in sources:
            circuit.connect(source, layer)
        if name in (SYNAPTIC, SYNAPTIC_LEARNED):
            pool = circuit.population(f"pool{level}", 1, valence=-1, resting_potential=-50, tau_synapse=TAU_SYNAPSE)
            excitatory = Mask((torch.arange(width) < width // 2).view(1, -1))
            circuit.connect(layer[0], pool, rule=excitatory, plastic=name == SYNAPTIC_LEARNED, conductance=1.0)
            circuit.connect(pool, layer[0], delay=1)
        sources = layer
    network = circuit.build(slices=SLICES if _takes_time(name) else 1, readout=CLASSES, outputs=sources, settle=False)
    for level in range(1, 1 + len(WIDTHS) if name in (SYNAPTIC, SYNAPTIC_LEARNED) else 1):
        before = "x" if level == 1 else f"layer{level - 1}"
        others = network.conductance(before, f"layer{level}").sum(1, keepdim=True)
        network.set_conductance(f"pool{level}", f"layer{level}", FEEDBACK * others)
    return network


def _layer(circuit: Circuit, name: str, level: int, width: int) -> list[Neurons]:
    """One population, or one for each class."""
    half = width // 2
    parts = {f"E{level}": [1.0] * half, f"I{level}": [-1.0] * half}
    if name not in (PER_CLASS, SLOW_PER_CLASS):
        parts = {f"layer{level}": [1.0] * half + [-1.0] * half}
    return [
        circuit.population(
            part,
            len(valence),
            valence=valence,
            resting_potential=-50,
            pooled_interneuron=name in (AT_ONCE, PER_CLASS, SLOW, SLOW_PER_CLASS),
            tau_membrane=TAU_MEMBRANE if name.startswith("slow") else None,
        )
        for part, valence in parts.items()
    ]


def _takes_time(name: str) -> bool:
    return name.startswith(("slow", "synaptic"))


def _free(pooled: bool) -> nn.Module:
    """Layers in which each unit excites by some synapses and inhibits by others."""
    sizes = (SIDE * SIDE, *WIDTHS)
    layers = [CWALinear(*pair, doubled_input=True, pooled_interneuron=pooled) for pair in pairwise(sizes)]
    return nn.Sequential(nn.Flatten(), *layers, nn.Linear(WIDTHS[-1], CLASSES))


def _affine() -> nn.Module:
    """Rectified affine units."""
    hidden = [each for pair in pairwise((SIDE * SIDE, *WIDTHS)) for each in (nn.Linear(*pair), nn.ReLU())]
    return nn.Sequential(nn.Flatten(), *hidden, nn.Linear(WIDTHS[-1], CLASSES))
