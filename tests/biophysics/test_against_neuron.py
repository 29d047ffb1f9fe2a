"""The membrane and the squid axon against NEURON, an independent simulator, in single compartments."""

import math
import os

import numpy as np
import pytest
import torch

from conductance.biophysics import SquidAxon, firing_rate, in_parallel, integrate, relax, steady_state

os.environ.setdefault("NEURON_MODULE_OPTIONS", "-nogui")  # it looks for a screen otherwise, and complains of none
neuron = pytest.importorskip("neuron", reason="NEURON is not installed: pip install 'conductance[biophysics]'")
h = neuron.h

STEP = 0.01  # ms
CURRENTS = [0.0, 40.0, 60.0, 80.0, 100.0, 200.0, 400.0]  # pA into 1000 um2: none at rest, then one spike, then trains


class Compartment:
    """A cylinder of one segment with a capacitance in pF; conductances in nS, each to a potential in mV."""

    def __init__(self, capacitance):
        self.section = h.Section(name="soma")
        self.section.nseg, self.section.cm = 1, 1.0  # uF/cm2: 1 pF for 100 um2
        self.section.L = self.section.diam = math.sqrt(100 * capacitance / math.pi)
        self.conductances = []

    def open(self, conductance, reversal_potential):
        """Add a constant conductance: a voltage clamp in series with its resistance, which is Ohm's law."""
        clamp = h.SEClamp(self.section(0.5))
        clamp.dur1, clamp.amp1, clamp.rs = 1e9, reversal_potential, 1000 / conductance
        self.conductances.append(clamp)

    @property
    def potential(self):
        return self.section(0.5).v


@pytest.fixture
def solver():
    """NEURON's variable step, far more exact than what is compared."""
    cvode = h.CVode()
    cvode.active(True)
    cvode.atol(1e-10)
    yield cvode
    cvode.active(False)


def random_cells(n, synapses):
    generator = torch.Generator().manual_seed(0)
    p, G = torch.rand(2, n, synapses, generator=generator, dtype=torch.float64)
    E = torch.tensor([0.0, -70.0, -90.0], dtype=torch.float64).repeat(synapses)[:synapses]
    G_r, C = (
        1 + 20 * torch.rand(n, generator=generator).double(),
        20 + 300 * torch.rand(n, generator=generator).double(),
    )
    return p, 0.01 + 10 * G, E, G_r, C


def build(p, G, E, G_r, C):
    cell = Compartment(C.item())
    for conductance, reversal in zip([*(G * p).tolist(), G_r.item()], [*E.tolist(), -65.0], strict=True):
        cell.open(conductance, reversal)
    return cell


def test_steady_states_agree_to_a_millionth_of_a_millivolt():
    p, G, E, G_r, C = random_cells(30, 7)
    for i in range(len(p)):
        cell = build(p[i], G[i], E, G_r[i], C[i])
        h.finitialize(-65.0)
        h.dt = 1e6
        for _ in range(4):
            h.fadvance()
        V = steady_state(p[i], G[i : i + 1], E, resting_conductance=G_r[i], resting_potential=-65.0)
        assert V.item() == pytest.approx(cell.potential, abs=1e-6)


def test_time_courses_agree_to_a_thousandth_of_a_millivolt_before_and_after_a_step(solver):
    p, G, E, G_r, C = random_cells(8, 5)
    times = torch.linspace(2, 30, 15, dtype=torch.float64)
    for i in range(len(p)):
        cell = build(p[i], G[i], E, G_r[i], C[i])
        conductance, potentials = torch.cat((G[i] * p[i], G_r[i : i + 1])), torch.cat((E, E.new_tensor([-65.0])))
        start = -65.0
        h.finitialize(start)
        for first in (0, 30):
            V = relax(start, *in_parallel(conductance, potentials), C[i], times)
            for t, expected in zip(times.tolist(), V, strict=True):
                solver.solve(first + t)
                assert cell.potential == pytest.approx(expected.item(), abs=1e-3)
            start = V[-1]
            conductance[0] *= 5
            cell.conductances[0].rs /= 5
            solver.re_init()


def test_a_conductance_that_changes_all_the_time_agrees_to_a_thousandth_of_a_millivolt(solver):
    """The excitatory conductance rises and falls as an alpha function, which NEURON has as a synapse."""
    cell = Compartment(150.0)
    cell.open(10.0, -65.0)
    synapse = h.AlphaSynapse(cell.section(0.5))
    synapse.onset, synapse.tau, synapse.gmax, synapse.e = 0.0, 3.0, 8e-3, 0.0  # uS
    h.finitialize(-65.0)
    t = torch.arange(0, 20, 0.02, dtype=torch.float64) + 0.01
    excitatory = 8 * t / 3 * torch.exp(1 - t / 3)
    V = integrate(
        -65.0, *in_parallel(torch.stack((10 + 0 * t, excitatory), -1), [-65.0, 0.0]), 150.0, 0.02, accuracy=0.5
    )
    for k in range(99, 1000, 100):
        solver.solve(0.02 * (k + 1))
        assert cell.potential == pytest.approx(V[k].item(), abs=1e-3)


@pytest.fixture(scope="module")
def axons():
    """Our potentials and NEURON's at the same times, shape (time, currents)."""
    steps = round(100 / STEP)
    ours = SquidAxon().respond(torch.tensor(CURRENTS, dtype=torch.float64).expand(steps, -1), STEP)
    return ours, torch.stack([neurons_axon(current, steps) for current in CURRENTS], -1)


def neurons_axon(current, steps):
    axon = SquidAxon()
    cell = Compartment(axon.area / 100)
    cell.section.insert("hh")
    clamp = h.IClamp(cell.section(0.5))
    clamp.delay, clamp.dur, clamp.amp = 0.0, 1e9, current / 1000
    h.celsius = axon.celsius
    h.usetable_hh = 0  # its rates themselves, not interpolated between whole millivolts
    cvode = h.CVode()
    cvode.active(True)
    cvode.atol(1e-8)
    recorded = h.Vector().record(cell.section(0.5)._ref_v, STEP)
    h.finitialize(-65.0)
    cvode.solve(steps * STEP + STEP / 2)
    cvode.active(False)
    return torch.from_numpy(np.array(recorded)[1 : steps + 1])


def spike_width(V):
    """Milliseconds of the first spike above half its height over rest, interpolated between steps."""
    half = (V[: round(10 / STEP)].max() - 65) / 2
    crossings = torch.nonzero((V[:-1] < half) != (V[1:] < half)).squeeze(-1)[:2]
    rise, fall = (crossings + (half - V[crossings]) / (V[crossings + 1] - V[crossings])).tolist()
    return (fall - rise) * STEP


def test_the_squid_axon_has_the_parameters_of_neurons():
    section = h.Section(name="axon")
    section.insert("hh")
    axon, theirs = SquidAxon(), section(0.5).hh
    assert (axon.sodium_conductance, axon.potassium_conductance, axon.leak_conductance) == pytest.approx(
        (theirs.gnabar, theirs.gkbar, theirs.gl)
    )
    assert (axon.sodium_potential, axon.potassium_potential, axon.leak_potential) == pytest.approx(
        (section.ena, section.ek, theirs.el)
    )


def test_the_action_potential_agrees(axons):
    ours, theirs = (V[: round(15 / STEP)] for V in axons)
    spikes = theirs.amax(0) > 0
    assert spikes.tolist() == [False, *[True] * 6]
    assert (ours - theirs)[:, 0].abs().max() < 1e-4
    torch.testing.assert_close(ours.amax(0), theirs.amax(0), rtol=0, atol=5e-3)
    for i in range(1, len(CURRENTS)):
        assert spike_width(ours[:, i]) == pytest.approx(spike_width(theirs[:, i]), abs=1e-3)
    assert (ours - theirs).abs().max() < 0.3  # 1 us where V climbs by 330 mV/ms


def test_the_f_i_curve_agrees(axons):
    ours, theirs = (firing_rate(V, STEP) for V in axons)
    assert (theirs > 0).tolist() == [False, False, *[True] * 5]
    torch.testing.assert_close(ours, theirs, rtol=3e-4, atol=0)
