"""A whole circuit of membranes as scripts for NEURON and Brian2, coupled in time."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from conductance import functional
from conductance.biophysics.layers import MembraneLayer
from conductance.biophysics.network import BiophysicalNetwork, checked_images
from conductance.biophysics.wiring import MembraneCircuit, WiredPopulation
from conductance.checked import checked
from conductance.errors import InputError
from conductance.files import write_atomically, write_text
from conductance.nn import Gate, LogisticGate

AT_ONCE = 512  # presynaptic neurons whose synapses are read together


@checked
@torch.no_grad()
def export_circuit(network: BiophysicalNetwork, image: Any, folder: Path) -> tuple[Path, Path, Path]:
    """Write a circuit, while it is shown one image, as scripts for NEURON and for Brian2, and the numbers they read.

    Every neuron is a single compartment with a passive leak. What its synapses are open follows from the potentials of
    its presynaptic neurons at each time step: by their gates, time constants and delays, as `simulate` has it without
    spikes. The scripts need their simulator and numpy alone, and print V in mV as CSV: one row for each millisecond
    from rest on. With ``--duration`` (ms) and ``--step`` (ms) they run longer, or in finer steps.

    Args:
        network: what `to_biophysical` gives for a circuit.
        image: one input of the circuit, (1, ...), in [0, 1], or a tuple of one for each of its inputs.
        folder: where ``neuron_circuit.py``, ``brian2_circuit.py`` and ``circuit.npz`` are written.

    Returns:
        The three files.

    Raises:
        InputError: the network is no circuit, more than one image or a sequence is given, or an input outside [0, 1].
    """
    if len(network.circuits) != 1 or network.circuits[0].place is not network.model:
        raise InputError(
            f"{type(network.model).__name__} is no circuit (conductance.circuits); export_neuron writes the units of "
            "any network's layers"
        )
    (circuit,) = network.circuits
    inputs = checked_images(network.model, image)
    shown, length = circuit.module.encode(*inputs)
    if length is not None or any(len(p) != 1 for p in shown.values()):
        shapes = ", ".join(str(tuple(each.shape)) for each in inputs)
        raise InputError(f"image has the shape {shapes}; give one image that stays, (1, ...)")
    numbers = circuit_numbers(circuit, {name: p[0] for name, p in shown.items()})
    neuron, brian2, data = (folder / name for name in ("neuron_circuit.py", "brian2_circuit.py", "circuit.npz"))
    write_text(neuron, NEURON)
    write_text(brian2, BRIAN2)
    write_atomically(data, lambda file: np.savez_compressed(file, **numbers))
    return neuron, brian2, data


def circuit_numbers(circuit: MembraneCircuit, shown: Mapping[str, Tensor]) -> dict[str, Any]:
    """A circuit in arrays over its neurons: those of all inputs first, then those of all populations, in one row.

    Args:
        circuit: its populations and their wiring.
        shown: what each input's neurons send, (units,).

    Returns:
        ``shown``, the open probabilities of the inputs' neurons. Of the populations' neurons ``name``, ``leak`` (nS),
        ``rest`` (mV), ``capacitance`` (pF), ``threshold`` and ``width`` (mV), ``logistic``, ``tau`` (ms, 0 for none),
        ``pool`` (the number of its pooled interneuron, -1 for none) and ``pool_delay`` (ms, -1 for at once). ``range``
        is the mV of valences -1 and 1.
        Of the synapses ``source``, ``target`` (among the populations' neurons), ``conductance`` (nS), ``reversal``
        (mV), ``delay`` (ms).
    """
    wiring = circuit.wiring
    inputs = sum(len(shown[name]) for name in wiring.inputs)
    first, count = {}, 0
    for name in (*wiring.inputs, *wiring.populations):
        first[name] = count
        count += len(wiring.valences[name])
    pools = 0
    range_of_all = circuit.membranes[next(iter(wiring.populations))].potentials
    parts: list[dict[str, Any]] = [{"range": np.array([range_of_all.minimum, range_of_all.maximum])}]
    parts += [{"shown": shown[name].double().cpu().numpy()} for name in wiring.inputs]
    for name, wired in wiring.populations.items():
        membranes = circuit.membranes[name]
        own = _neurons(name, len(wiring.valences[name]), membranes, wired)
        own["pool"][own["pool"] >= 0] += pools
        pools = max(pools, own["pool"].max() + 1)
        parts.append(own)
        target, source, G = _synapses(membranes, wired)
        start = 0
        for each in wired.afferents:
            e = wiring.valences[each.source]
            chosen = (source >= start) & (source < start + len(e))
            number = source[chosen] - start
            parts.append(
                {
                    "source": number + first[each.source],
                    "target": target[chosen] + first[name] - inputs,
                    "conductance": G[chosen],
                    "reversal": membranes.potentials.to_millivolts(e.double().cpu()).numpy()[number],
                    "delay": np.full(len(number), each.delay),
                }
            )
            start += len(e)
    keys = {key: None for part in parts for key in part}
    return {key: np.concatenate([part[key] for part in parts if key in part]) for key in keys}


def _neurons(name: str, units: int, membranes: MembraneLayer, wired: WiredPopulation) -> dict[str, Any]:
    """A population's neurons, number by number as its projections count them."""
    half, gate = membranes.potentials.half_width, membranes.layer.gate
    width = gate.width.detach() * half if isinstance(gate, Gate) else torch.tensor(half)
    threshold = membranes.threshold
    assert threshold is not None
    values = {
        "leak": membranes.resting_conductance,
        "rest": membranes.resting_potential,
        "capacitance": membranes.capacitance,
        "threshold": threshold,
        "width": width,
        "logistic": torch.tensor(float(isinstance(gate, LogisticGate))),
        "tau": torch.tensor(wired.tau_synapse or 0.0),
    }
    points = units // membranes.layer.out_channels
    per_unit = {
        key: value.expand(membranes.layer.out_channels).repeat_interleave(points).double().cpu().numpy()
        for key, value in values.items()
    }
    pool = np.tile(np.arange(points), membranes.layer.out_channels) if wired.pooled is not None else -1
    return {
        "name": np.array([f"{name}{unit}" for unit in range(units)]),
        "pool": np.full(units, pool),
        "pool_delay": np.full(units, wired.pooled if isinstance(wired.pooled, float) else -1.0),
        **per_unit,
    }


def _synapses(membranes: MembraneLayer, wired: WiredPopulation) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Target, source and G (nS) of each synapse: what each presynaptic neuron opens by itself."""
    layer, like = membranes.layer, membranes.layer.conductance
    points = math.prod(wired.source_grid or ())
    neurons = like.shape[1] * points
    found = []
    for start in range(0, neurons, AT_ONCE):
        alone = torch.eye(neurons, dtype=like.dtype, device=like.device)[start : start + AT_ONCE]
        E, I = functional.excitation_inhibition(
            wired.received([alone]), like, membranes.presynaptic, torch.zeros_like(layer.leak()), layer.synaptic_sum
        )
        G = (membranes.nanosiemens * (E + I)).flatten(1).double().cpu()
        source, target = G.nonzero().unbind(1)
        found.append((target.numpy(), source.numpy() + start, G[source, target].numpy()))
    targets, sources, conductances = (np.concatenate(each) for each in zip(*found, strict=True))
    return targets, sources, conductances


WIRING = '''"""A circuit of single compartments, coupled in time, for SIMULATOR; prints V (mV) as CSV.

pip install PACKAGES
"""

import argparse
from pathlib import Path

import numpy as np

parser = argparse.ArgumentParser()
parser.add_argument("--duration", type=int, default=100, help="ms")
parser.add_argument("--step", type=float, default=0.05, help="ms")
options = parser.parse_args()
step, per_ms = options.step, round(1 / options.step)
circuit = dict(np.load(Path(__file__).with_name("circuit.npz")))


class Wiring:
    """What all synapses open, from step to step."""

    def __init__(self):
        self.late = np.round(circuit["delay"] / step).astype(int)
        self.sent = np.zeros((1 + self.late.max(initial=0), len(circuit["shown"]) + len(circuit["name"])))
        self.opened = np.zeros(len(circuit["name"]))
        self.pooled = circuit["pool"] >= 0
        longest = np.round(max(0, circuit["pool_delay"].max()) / step).astype(int)
        self.before = np.tile(circuit["rest"], (1 + longest, 1))
        steps = step / np.where(circuit["tau"] > 0, circuit["tau"], step)
        takes_time = circuit["tau"] > 0
        self.decay = np.where(takes_time, np.exp(-steps), 0)
        self.mean_of_step = np.where(takes_time, -np.expm1(-steps) / steps, 0)

    def open(self, v):
        """Synaptic conductance (nS) and driving current (pA) of each neuron during a step that begins at V (mV)."""
        x = (v - circuit["threshold"]) / circuit["width"]
        p = np.where(circuit["logistic"] > 0, 1 / (1 + np.exp(-x)), np.clip(x, 0, 1))
        before, self.opened = self.opened, p + (self.opened - p) * self.decay
        self.sent = np.roll(self.sent, 1, axis=0)
        self.sent[0] = np.concatenate([circuit["shown"], p + (before - p) * self.mean_of_step])
        g = circuit["conductance"] * self.sent[self.late, circuit["source"]]
        g, current = (np.bincount(circuit["target"], each, len(v)) for each in (g, g * circuit["reversal"]))
        self.before = np.roll(self.before, 1, axis=0)
        self.before[0] = v
        return self.with_pools(g, current) if self.pooled.any() else (g, current)

    def with_pools(self, g, current):
        """The same with what pooled interneurons open: the mean of their neurons' potentials times each one's total."""
        total, driving = g + circuit["leak"], current + circuit["leak"] * circuit["rest"]
        late = np.round(np.maximum(circuit["pool_delay"], 0) / step).astype(int)
        v = np.where(circuit["pool_delay"] >= 0, self.before[late, np.arange(len(g))], driving / total)
        lowest, highest = circuit["range"]
        z = 2 * (v - lowest) / (highest - lowest) - 1
        pool = circuit["pool"][self.pooled]
        mean = np.zeros(len(g))
        mean[self.pooled] = (np.bincount(pool, z[self.pooled]) / np.bincount(pool))[pool]
        opened = np.abs(mean) * total
        return g + opened, current + opened * np.where(mean < 0, highest, lowest)


def row(time, potentials):
    print(time, *map(float, potentials), sep=",")


print("time", *circuit["name"], sep=",")
wiring = Wiring()
'''

NEURON = (
    WIRING.replace("SIMULATOR", "NEURON").replace("PACKAGES", "neuron numpy")
    + """

import os

os.environ.setdefault("NEURON_MODULE_OPTIONS", "-nogui")
from neuron import h


def build(leak, rest, capacitance):
    section = h.Section()
    section.nseg, section.cm = 1, 1.0  # uF/cm2, so that 1 pF is 100 um2
    section.L = section.diam = np.sqrt(100 * capacitance / np.pi)
    section.insert("pas")
    section.g_pas, section.e_pas = 1e-3 * leak / capacitance, rest  # S/cm2
    synapses = h.SEClamp(section(0.5))  # a battery behind a resistance: Ohm's law for all of them together
    synapses.dur1 = 1e9
    section.v = rest
    return section, synapses


cells = [build(*each) for each in zip(circuit["leak"], circuit["rest"], circuit["capacitance"])]
h.dt, h.secondorder = step, 2
h.finitialize()
for time in range(options.duration * per_ms + 1):
    v = np.array([section(0.5).v for section, _ in cells])
    if time % per_ms == 0:
        row(time // per_ms, v)
    for (_, synapses), g, current in zip(cells, *wiring.open(v)):
        synapses.rs = 1000 / max(g, 1e-12)  # MOhm
        synapses.amp1 = current / max(g, 1e-12)
    h.fadvance()
"""
)

BRIAN2 = (
    WIRING.replace("SIMULATOR", "Brian2").replace("PACKAGES", "brian2==2.9.0 'numpy<2'")
    + '''

import brian2 as b2

b2.prefs.codegen.target = "numpy"
cells = b2.NeuronGroup(
    len(circuit["name"]),
    """
    dv/dt = (G_r * (E_r - v) + I - G * v) / C : volt
    C : farad (constant)
    G_r : siemens (constant)
    E_r : volt (constant)
    G : siemens
    I : amp
    """,
    method="exponential_euler",
    dt=step * b2.ms,
)
cells.C, cells.G_r, cells.E_r = circuit["capacitance"] * b2.pF, circuit["leak"] * b2.nS, circuit["rest"] * b2.mV
cells.v = cells.E_r


@b2.network_operation(dt=step * b2.ms)
def open_synapses():
    g, current = wiring.open(cells.v / b2.mV)
    cells.G, cells.I = g * b2.nS, current * b2.pA


monitor = b2.StateMonitor(cells, "v", record=True, dt=1 * b2.ms)
b2.Network(cells, open_synapses, monitor).run((options.duration + step) * b2.ms)
for time, potentials in enumerate(monitor.v.T):
    row(time, potentials / b2.mV)
'''
)
