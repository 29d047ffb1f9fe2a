"""Neurons of a trained network as scripts for NEURON and Brian2."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conductance.biophysics._checks import Units, whole_numbers
from conductance.biophysics.inputs import InputsAtRest, at_rest
from conductance.biophysics.layers import MembraneLayer
from conductance.biophysics.network import BiophysicalNetwork, checked_images
from conductance.checked import checked
from conductance.errors import InputError, UnknownNameError
from conductance.files import write_text


@dataclass(frozen=True)
class PointNeuron:
    """One unit while one image is shown: a single compartment with a passive leak and open synapses.

    Attributes:
        unit: its number in the layer, as in the flattened ``(units, *positions)``.
        resting_conductance: G_r in nS.
        resting_potential: E_r in mV.
        capacitance: C in pF.
        synapses: the open ones, each as presynaptic neuron, conductance G in nS, open probability p, reversal potential
            in mV. The neurons of the layer's input come first, numbered as in the flattened ``(channels, *positions)``,
            the copies of a doubled input as channels. Those that join it from elsewhere are numbered after them.
        origins: where the numbers of further presynaptic neurons begin, by the name of the layer of synapses through
            which they join; last, as "always open", what is open whatever they do (leaks of such layers, gap
            junctions), as one conductance with the reversal potential that it has at the steady state. Of a circuit's
            population: where those of each of its projections begin, by its source.
    """

    unit: int
    resting_conductance: float
    resting_potential: float
    capacitance: float
    synapses: tuple[tuple[int, float, float, float], ...]
    origins: tuple[tuple[str, int], ...] = ()


@checked
def point_neurons(network: BiophysicalNetwork, layer: str, image: Any, units: Units | None = None) -> list[PointNeuron]:
    """Units of a layer with the synapses that are open at the network's steady state for one image.

    Args:
        network: what `to_biophysical` gives.
        layer: the layer's name.
        image: one input of the network, (1, ...), in [0, 1].
        units: their numbers, as in the flattened ``(units, *positions)``; all by default.

    Raises:
        UnknownNameError: there is no such layer.
        InputError: more than one image, an input outside [0, 1], or no such unit.
    """
    if layer not in network.by_name:
        raise UnknownNameError("layer", layer, network.by_name)
    parts = checked_images(network.model, image)
    for part in parts:
        if len(part) != 1:
            raise InputError(f"image has shape {tuple(part.shape)}; give one, (1, ...)")
    inputs = at_rest(network, layer, parts)
    chosen = range(inputs.units) if units is None else whole_numbers(units, f"units of layer {layer}")
    for unit in chosen:
        if not 0 <= unit < inputs.units:
            raise InputError(f"unit {unit} of layer {layer}: it has {inputs.units} of them, numbered from 0")
    return [_point_neuron(network.by_name[layer], inputs, unit) for unit in chosen]


def _point_neuron(membranes: MembraneLayer, inputs: InputsAtRest, unit: int) -> PointNeuron:
    channel = unit // (inputs.units // membranes.layer.out_channels)
    synapses, origins = [], []
    first = 0
    for name, neurons, (G, p, e) in inputs.synapses_of(unit):
        E = membranes.potentials.to_millivolts(e)
        opened = (G * p > 0).nonzero().squeeze(1)
        columns = (each[opened].tolist() for each in (membranes.nanosiemens * G, p, E))
        synapses += list(zip((opened + first).tolist(), *columns, strict=True))
        origins.append((name, first))
        first += neurons
    return PointNeuron(
        unit,
        membranes.resting_conductance[channel].item(),
        membranes.resting_potential[channel].item(),
        membranes.capacitance[channel].item(),
        tuple(synapses),
        tuple(each for each in origins if each[0]),
    )


@checked
def export_neuron(
    network: BiophysicalNetwork, layer: str, units: Units | None, image: Any, folder: Path
) -> tuple[Path, Path]:
    """Write units of a layer, as they are while one image is shown, as scripts for NEURON and for Brian2.

    Each unit is a single compartment with a passive leak and one conductance of G p for each synapse that is open.
    Conductances that join the layer's average from elsewhere are among them (`PointNeuron.synapses`).
    The scripts need their simulator alone and print V in mV as CSV: one row for each millisecond from rest on, the
    last one (time inf) the steady state.

    Args:
        network: what `to_biophysical` gives.
        layer: the layer's name.
        units: one number, several (of Python, numpy or torch), or None for the whole layer; as in the flattened
            ``(units, *positions)``.
        image: one input of the network, (1, ...), in [0, 1].
        folder: where ``neuron_LAYER.py`` and ``brian2_LAYER.py`` are written.

    Returns:
        The two files.

    Raises:
        UnknownNameError, InputError: as `point_neurons` raises; or there is no unit to write.
    """
    neurons = point_neurons(network, layer, image, units)
    if not neurons:
        raise InputError(f"units of layer {layer}: give at least one, or None for all")
    files = tuple(folder / f"{simulator}_{layer.replace('.', '_')}.py" for simulator in ("neuron", "brian2"))
    for file, template in zip(files, (NEURON, BRIAN2), strict=True):
        write_text(file, script(template, layer, neurons))
    return files[0], files[1]


def script(template: str, layer: str, neurons: Sequence[PointNeuron]) -> str:
    """One of the templates below with these neurons in it."""
    return template.replace("LAYER", layer).replace("NEURONS = ...", _as_python(neurons))


def _as_python(neurons: Sequence[PointNeuron]) -> str:
    origins = neurons[0].origins if neurons else ()
    lines = [f"# presynaptic neurons from {first} on: {name}" for name, first in origins]
    lines.append("NEURONS = [")
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
