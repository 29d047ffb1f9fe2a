"""Neurons of a trained network as scripts for other simulators: NEURON and Brian2."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from conductance.biophysics._checks import refuse_bad_probability
from conductance.biophysics.network import BiophysicalNetwork
from conductance.errors import InputError, UnknownNameError
from conductance.files import write_text
from conductance.nn.visit import visit


@dataclass(frozen=True)
class PointNeuron:
    """One unit while one image is shown: a single compartment with a passive leak and open synapses.

    Attributes:
        unit: its number in the layer, as in the flattened (units, *positions).
        resting_conductance: G_r in nS.
        resting_potential: E_r in mV.
        capacitance: C in pF.
        synapses: the open ones, each as presynaptic neuron (numbered as in the flattened (channels, *positions), the
            copies of a doubled input as channels), conductance G in nS, open probability p, reversal potential in mV.
    """

    unit: int
    resting_conductance: float
    resting_potential: float
    capacitance: float
    synapses: tuple[tuple[int, float, float, float], ...]


def point_neurons(
    network: BiophysicalNetwork, layer: str, image: Tensor, units: Sequence[int] | None = None
) -> list[PointNeuron]:
    """Units of a layer with the synapses that are open at the network's steady state for one image.

    Args:
        network: what `to_biophysical` gives.
        layer: the layer's name.
        image: one input of the network, (1, ...), in [0, 1].
        units: their numbers, as in the flattened (units, *positions); all by default.

    Raises:
        UnknownNameError: there is no such layer.
        InputError: more than one image, an input outside [0, 1], or no such unit.
    """
    if layer not in network.by_name:
        raise UnknownNameError("layer", layer, network.by_name)
    if len(image) != 1:
        raise InputError(f"image has shape {tuple(image.shape)}; give one, (1, ...)")
    membranes = network.by_name[layer]
    p = membranes.per_presynaptic_neuron(_input_of(network, layer, image)).detach().clone().requires_grad_()
    refuse_bad_probability(p.detach(), f"the input of layer {layer}: open_probability")
    along = (-1, *(1,) * (-1 - membranes.layer.channel_axis))
    E = membranes.potentials.to_millivolts(membranes.presynaptic.values).view(along).expand_as(p)
    with torch.enable_grad():
        total = torch.stack(membranes.open_conductances(p)).sum(0)
    units = range(total.numel()) if units is None else units
    channel = torch.arange(len(membranes.resting_potential)).view(along).expand_as(total).flatten()
    neurons = []
    for unit in map(int, units):
        if not 0 <= unit < total.numel():
            raise InputError(f"unit {unit} of layer {layer}: it has {total.numel()} of them, numbered from 0")
        # a sum of G p has the derivative G, however the layer's synapses are laid out
        (G,) = torch.autograd.grad(total.flatten()[unit], p, retain_graph=True)
        neurons.append(
            PointNeuron(
                unit,
                membranes.resting_conductance[channel[unit]].item(),
                membranes.resting_potential[channel[unit]].item(),
                membranes.capacitance,
                _open_synapses(G, p.detach(), E),
            )
        )
    return neurons


def export_neuron(
    network: BiophysicalNetwork, layer: str, units: int | Sequence[int] | None, image: Tensor, folder: Path
) -> tuple[Path, Path]:
    """Write units of a layer, as they are while one image is shown, as scripts for NEURON and for Brian2.

    Each unit is a single compartment with a passive leak and one conductance of G p for each synapse that is open.
    The scripts need their simulator alone and print V in mV as CSV: one row for each millisecond from rest on, the
    last one (time inf) the steady state.

    Args:
        network: what `to_biophysical` gives.
        layer: the layer's name.
        units: one number, several, or None for the whole layer; as in the flattened (units, *positions).
        image: one input of the network, (1, ...), in [0, 1].
        folder: where ``neuron_LAYER.py`` and ``brian2_LAYER.py`` are written.

    Returns:
        The two files.

    Raises:
        UnknownNameError, InputError: as `point_neurons` raises.
    """
    neurons = point_neurons(network, layer, image, [units] if isinstance(units, int) else units)
    files = tuple(folder / f"{simulator}_{layer.replace('.', '_')}.py" for simulator in ("neuron", "brian2"))
    for file, template in zip(files, (NEURON, BRIAN2), strict=True):
        write_text(file, script(template, layer, neurons))
    return files[0], files[1]


def script(template: str, layer: str, neurons: Sequence[PointNeuron]) -> str:
    """One of the templates below with these neurons in it."""
    return template.replace("LAYER", layer).replace("NEURONS = ...", _as_python(neurons))


def _input_of(network: BiophysicalNetwork, layer: str, image: Tensor) -> Tensor:
    seen: dict[str, Tensor] = {}
    visit(network.model, image, lambda name, _, p: seen.update({name: p}))
    return seen[layer]


def _open_synapses(G: Tensor, p: Tensor, E: Tensor) -> tuple[tuple[int, float, float, float], ...]:
    G, p, E = G.flatten(), p.flatten(), E.flatten()
    opened = (G * p > 0).nonzero().squeeze(1)
    columns = (each[opened].tolist() for each in (G, p, E))
    return tuple(zip(opened.tolist(), *columns, strict=True))


def _as_python(neurons: Sequence[PointNeuron]) -> str:
    lines = ["NEURONS = ["]
    for each in neurons:
        lines.append(f"    ({each.unit}, {each.resting_conductance}, {each.resting_potential}, {each.capacitance}, [")
        lines += [f"        ({j}, {G}, {p}, {E})," for j, G, p, E in each.synapses]
        lines.append("    ]),")
    return "\n".join([*lines, "]"])


NEURON = '''"""Units of layer LAYER as single compartments, for NEURON; prints V (mV) as CSV.

pip install neuron
"""

import math
import os

os.environ.setdefault("NEURON_MODULE_OPTIONS", "-nogui")
from neuron import h

DURATION = 100  # ms
# unit, leak (nS), resting potential (mV), capacitance (pF),
# synapses: presynaptic neuron, conductance (nS), open probability, reversal potential (mV)
NEURONS = ...


def build(unit, leak, rest, capacitance, synapses):
    section = h.Section(name=f"unit{unit}")
    section.nseg, section.cm = 1, 1.0  # uF/cm2, so that 1 pF is 100 um2
    section.L = section.diam = math.sqrt(100 * capacitance / math.pi)
    section.insert("pas")
    section.g_pas, section.e_pas = 1e-3 * leak / capacitance, rest  # S/cm2
    conductances = []
    for _, conductance, open_probability, reversal_potential in synapses:
        synapse = h.SEClamp(section(0.5))  # a battery behind a resistance: Ohm's law
        synapse.dur1, synapse.amp1 = 1e9, reversal_potential
        synapse.rs = 1000 / (conductance * open_probability)  # MOhm
        conductances.append(synapse)
    section.v = rest
    return section, conductances


def row(time):
    print(time, *(cell(0.5).v for cell, _ in cells), sep=",")


cells = [build(*each) for each in NEURONS]
print("time", *(f"unit{unit}" for unit, *_ in NEURONS), sep=",")
solver = h.CVode()
solver.active(True)
solver.atol(1e-8)
h.finitialize()
row(0)
for time in range(1, DURATION + 1):
    solver.solve(time)
    row(time)
solver.active(False)
h.finitialize()
h.dt = 1e6
for _ in range(4):
    h.fadvance()
row("inf")
'''

BRIAN2 = '''"""Units of layer LAYER as point neurons, for Brian2; prints V (mV) as CSV.

pip install brian2==2.9.0 'numpy<2'
"""

import brian2 as b2
import numpy as np

DURATION = 100  # ms
# unit, leak (nS), resting potential (mV), capacitance (pF),
# synapses: presynaptic neuron, conductance (nS), open probability, reversal potential (mV)
NEURONS = ...


def build(step):
    units, leaks, rests, capacitances, _ = zip(*NEURONS)
    cells = b2.NeuronGroup(
        len(NEURONS),
        """
        dv/dt = (G_r * (E_r - v) + I - G * v) / C : volt
        C : farad (constant)
        G_r : siemens (constant)
        E_r : volt (constant)
        G : siemens
        I : amp
        """,
        method="exponential_euler",
        dt=step,
    )
    cells.C, cells.G_r, cells.E_r = capacitances * b2.pF, leaks * b2.nS, rests * b2.mV
    cells.v = cells.E_r
    opened = [(j, i, *values) for i, (*_, synapses) in enumerate(NEURONS) for j, *values in synapses]
    if not opened:
        return b2.Network(cells), cells
    neuron, cell, conductance, open_probability, reversal_potential = map(np.array, zip(*opened))
    presynaptic = b2.NeuronGroup(neuron.max() + 1, "p : 1 (constant)")
    presynaptic.p[neuron] = open_probability
    synapses = b2.Synapses(
        presynaptic,
        cells,
        """
        g : siemens (constant)
        E_j : volt (constant)
        G_post = g * p_pre : siemens (summed)
        I_post = g * p_pre * E_j : amp (summed)
        """,
        dt=step,
    )
    synapses.connect(i=neuron, j=cell)
    synapses.g, synapses.E_j = conductance * b2.nS, reversal_potential * b2.mV
    return b2.Network(cells, presynaptic, synapses), cells


def row(time, potentials):
    print(time, *(float(v) for v in potentials / b2.mV), sep=",")


b2.prefs.codegen.target = "numpy"
print("time", *(f"unit{unit}" for unit, *_ in NEURONS), sep=",")
network, cells = build(0.1 * b2.ms)
monitor = b2.StateMonitor(cells, "v", record=True, dt=1 * b2.ms)
network.add(monitor)
network.run((DURATION + 0.1) * b2.ms)
for time, potentials in enumerate(monitor.v.T):
    row(time, potentials)
network, cells = build(1e6 * b2.ms)  # while no conductance changes, the step is exact at any length
network.run(4e6 * b2.ms)
row("inf", cells.v)
'''
