"""Every circuit as membranes: where they rest, their course in time, under spikes, and what is written of them."""

import copy
import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given, reject, settings
from hypothesis import strategies as st
from membrane_course import MembraneCourse
from random_circuits import circuits, samples
from torch import nn

from conductance.biophysics import PotentialRange, point_neurons, simulate, steady_state, to_biophysical
from conductance.circuits import Circuit, Convolution, Sparse
from conductance.errors import ConductanceError
from conductance.nn import CWALinear

seeds = st.integers(0, 2**31 - 1)
TOLERANCE = {"rtol": 0, "atol": 1e-5}  # mV


def build(circuit, **options):
    return circuit.build(outputs=list(circuit.populations), settle=False, **options).double()


def at_rest(network, x):
    """The steady state, or no example where the circuit has none."""
    try:
        return network.steady_state(tuple(x))
    except ConductanceError as error:
        if "comes to no rest" not in str(error):
            raise
        reject()


@settings(max_examples=12)
@given(circuits(pooled=True), seeds)
def test_the_steady_state_is_where_many_time_slices_lead(circuit, seed):
    """Slices of populations that take no time may go on for ever; where they come to rest, membranes rest there too."""
    torch.manual_seed(seed)
    net = build(circuit, slices=100, slice_duration=20.0)
    x = samples(circuit)
    network = to_biophysical(net, images=tuple(x))
    V = at_rest(network, x)
    activity = net.run(*x)
    for course in (*activity.sent.values(), *activity.potential.values()):
        assume((course[:, -1] - course[:, -2]).abs().max() < 1e-12)
    last = {name: sent[:, -1] for name, sent in activity.sent.items()}
    for name, population in net.populations.items():
        assert network.by_name[name].open_probability(V[name]).sub(last[name]).abs().max() < 1e-4
        if population.leaky:
            z = network.by_name[name].potentials.to_valence(V[name])
            torch.testing.assert_close(z, activity.potential[name][:, -1], rtol=0, atol=1e-4)


@settings(max_examples=25)
@given(circuits(), seeds)
def test_at_the_steady_state_every_neuron_is_eq_1_of_what_the_others_open(circuit, seed):
    """Also where slices never come to rest."""
    torch.manual_seed(seed)
    net = build(circuit)
    x = samples(circuit, 2)
    network = to_biophysical(net, images=tuple(x))
    V = at_rest(network, x)
    shown, _ = net.encode(*x)
    for name in net.populations:
        layer = network.by_name[name]
        sources = [block.source for block in net.blocks[name]]
        opened = [shown[s] if s in shown else network.by_name[s].open_probability(V[s]) for s in sources]
        expected = steady_state(
            torch.cat(opened, 1),
            layer.conductance,
            layer.reversal_potential,
            resting_conductance=layer.resting_conductance,
            resting_potential=layer.resting_potential,
        )
        torch.testing.assert_close(V[name], expected, **TOLERANCE)


@settings(max_examples=20)
@given(circuits(pooled=True), seeds, st.sampled_from([0.5, 1.0, 2.0]), st.sampled_from([0.25, 0.5, 3.0]))
def test_the_course_is_the_transcribed_one(circuit, seed, slice_duration, step):
    torch.manual_seed(seed)
    net = build(circuit, slice_duration=slice_duration)
    x = samples(circuit, 1)
    network = to_biophysical(net)
    result = simulate(network, tuple(x), 12 * step, step=step)
    transcribed = MembraneCourse(circuit, net, network, slice_duration)
    shown = {name: values[0].numpy() for name, values in zip(circuit.inputs, x, strict=True)}
    for name, V in transcribed.course(shown, 13, step).items():
        np.testing.assert_allclose(result.potential[name][:, 0].numpy(), V, rtol=0, atol=1e-5, err_msg=name)


@pytest.fixture(scope="module")
def recurrent():
    """Excitation with a slow membrane, inhibition of two kinds that returns, sparse recurrence, a logistic gate."""
    torch.manual_seed(0)
    circuit = Circuit()
    x = circuit.input("x", 6, coding="on_off")
    e = circuit.population("E", 10, tau_membrane=20)
    pv = circuit.population("PV", 4, reversal="GABA-A", tau_synapse=8)
    som = circuit.population("SOM", 3, reversal="GABA-B", gate="logistic", tau_synapse=20)
    circuit.connect(x, e)
    circuit.connect(e, [pv, som])
    circuit.connect(pv, [e, pv])
    circuit.connect(som, e, delay=3)
    circuit.connect(e, e, rule=Sparse(0.5))
    net = circuit.build(slices=200, readout=3).double()
    x = torch.rand(5, 6, dtype=torch.float64)
    return net, x, to_biophysical(net, images=x)


def test_time_constants_are_the_circuits(recurrent):
    net, _, network = recurrent
    e, pv = network.by_name["E"], network.by_name["PV"]
    torch.testing.assert_close(e.capacitance / e.resting_conductance, torch.full((10,), 20.0, dtype=torch.float64))
    assert pv.capacitance.tolist() == [200.0] * 4
    assert pv.potentials == net.potentials
    assert pv.potentials.to_millivolts(net.valence("PV")[0]) == pytest.approx(-70)
    assert e.threshold.tolist() == pytest.approx([-50.0] * 10)


def test_a_recurrent_circuit_comes_to_rest_with_its_network(recurrent):
    net, x, network = recurrent
    expected = network.steady_state(x)
    result = simulate(network, x, 1000.0, step=0.5, every=2000)
    assert list(result.potential) == ["E", "PV", "SOM"]
    for name, V in expected.items():
        torch.testing.assert_close(result.potential[name][-1], V, rtol=0, atol=1e-6)
    torch.testing.assert_close(result.logits[-1], net(x), rtol=0, atol=1e-5)  # of 200 slices


def test_under_many_spikes_it_is_there_in_the_mean(recurrent):
    _, x, network = recurrent
    generator = torch.Generator().manual_seed(0)
    options = {"mode": "spiking", "rate_max": 1e6, "generator": generator, "units": {}, "average_from": 300.0}
    result = simulate(network, x, 600.0, step=0.5, **options)
    for name, V in network.steady_state(x).items():
        assert (result.mean_potential[name] - V).square().mean().sqrt() < 0.5


def test_recorded_currents_charge_the_membrane(recurrent):
    """V of the next record follows from this one's, and currents are conductances times driving forces."""
    _, x, network = recurrent
    for mode in ("constant", "spiking"):
        result = simulate(network, x, 30.0, step=0.5, mode=mode, record=("potential", "conductances", "currents"))
        for name, V in result.potential.items():
            E, I = result.excitation[name], result.inhibition[name]
            into, out = result.excitatory_current[name], result.inhibitory_current[name]
            torch.testing.assert_close(into, E * (0 - V))
            torch.testing.assert_close(out, I * (-100 - V))
            C = network.by_name[name].capacitance
            moved = (into + out) / (E + I) * -torch.expm1(-(E + I) * 0.5 / C)
            torch.testing.assert_close(V[1:] - V[:-1], moved[:-1], **TOLERANCE)
        assert result.spikes == {}


def test_spikes_are_counted_and_come_at_the_rate_p(recurrent):
    _, x, network = recurrent
    generator = torch.Generator().manual_seed(0)
    result = simulate(
        network, x, 2000.0, mode="spiking", rate_max=1000.0, generator=generator, record="spikes", every=4
    )
    assert {name: spikes.shape for name, spikes in result.spikes.items()} == {
        "x": (501, 5, 12),
        "E": (501, 5, 10),
        "PV": (501, 5, 4),
        "SOM": (501, 5, 3),
    }
    fired = result.spikes["x"].sum(0)
    expected = 2001 * torch.cat([x, 1 - x], 1)
    assert ((fired - expected).abs() < 5 * expected.sqrt() + 1).all()
    mean = result.mean_potential["PV"]
    p = network.by_name["PV"].open_probability(mean)
    assert (result.spikes["PV"].sum(0) / 2001 - p).abs().max() < 0.1
    assert result.potential == {}


def test_one_spike_that_opens_more_than_there_is_is_warned_of(recurrent):
    """q / G = 1 / (R tau): the input's synapses have the shortest tau, that of excitation."""
    _, x, network = recurrent
    with pytest.warns(UserWarning, match=r"rate_max=100 spikes/s with synapses of 5 ms: one spike opens 2 times"):
        simulate(network, x, 2.0, mode="spiking", rate_max=100.0)
    with pytest.warns(UserWarning, match="give 500 spikes/s or more"):
        simulate(network, x, 2.0, mode="spiking", rate_max=499.0, tau_E=2.0)
    simulate(network, x, 2.0, mode="spiking", rate_max=200.0)
    simulate(network, x, 2.0, mode="constant", rate_max=1.0)


def test_every_written_neuron_is_eq_1_of_its_open_synapses(recurrent):
    _, x, network = recurrent
    for name, V in network.steady_state(x[:1]).items():
        neurons = point_neurons(network, name, x[:1])
        for neuron, potential in zip(neurons, V.flatten().tolist(), strict=True):
            G, p, E = np.array([synapse[1:] for synapse in neuron.synapses]).T
            total = neuron.resting_conductance + (G * p).sum()
            rest = neuron.resting_conductance * neuron.resting_potential
            assert (rest + (G * p * E).sum()) / total == pytest.approx(potential, abs=1e-6)
    assert point_neurons(network, "E", x[:1], 0)[0].origins == (
        ("x", 0),
        ("E 1 ms before", 12),
        ("PV 1 ms before", 22),
        ("SOM 3 ms before", 26),
    )


def convolutional():
    circuit = Circuit()
    x = circuit.input("x", (6, 6), channels=2)
    e = circuit.population("E", (6, 6), channels=3, tau_membrane=10, gate="logistic")
    i = circuit.population("I", (6, 6), reversal="GABA-A")
    circuit.connect(x, e, rule=Convolution(3))
    circuit.connect(e, i, rule=Convolution(3))
    circuit.connect(i, e, rule=Convolution(3))
    return circuit.build(slices=100, readout=2).double(), torch.rand(2, 2, 6, 6, dtype=torch.float64)


def test_a_convolutional_circuit_is_one_too():
    net, x = convolutional()
    network = to_biophysical(net, images=x)
    V = network.steady_state(x)
    assert V["E"].shape == (2, 3, 6, 6)
    result = simulate(network, x, 400.0, step=0.5, every=800)
    for name, potential in V.items():
        torch.testing.assert_close(result.potential[name][-1], potential, rtol=0, atol=1e-5)
    torch.testing.assert_close(result.logits[-1], net(x), rtol=0, atol=1e-6)
    neuron = point_neurons(network, "E", x[:1], 51)[0]
    assert neuron.origins == (("x", 0), ("I 1 ms before", 72))
    assert len(neuron.synapses) == 27


def test_a_circuit_within_a_network(recurrent):
    """Layers before it and after it are membranes as well, by names of their own."""
    torch.manual_seed(0)
    inner = copy.deepcopy(recurrent[0])
    inner.readout = None
    model = nn.Sequential(CWALinear(4, 6), inner, CWALinear(10, 5), nn.Linear(5, 3)).double()
    x = torch.rand(3, 4, dtype=torch.float64)
    network = to_biophysical(model, images=x)
    assert [each.name for each in network.layers] == ["0", "1.E", "1.PV", "1.SOM", "2"]
    V = network.steady_state(x)
    result = simulate(network, x, 1500.0, step=1.0, every=1500)
    for name, potential in V.items():
        torch.testing.assert_close(result.potential[name][-1], potential, rtol=0, atol=1e-5)
    torch.testing.assert_close(result.logits[-1], model(x), rtol=0, atol=1e-6)


def test_each_element_of_a_sequence_is_shown_as_long_as_in_the_circuit():
    """Two elements, 5 slices of 2 ms each: the course is that of the first image for 10 ms; then that of the second."""
    circuit = Circuit()
    circuit.connect(circuit.input("x", 4), circuit.population("E", 3, tau_membrane=100))
    net = circuit.build(slices=5, slice_duration=2.0).double()
    sequence = torch.rand(2, 2, 4, dtype=torch.float64)
    network = to_biophysical(net)
    result = simulate(network, sequence, 1000.0, step=0.5)
    first = simulate(network, sequence[:, 0], 10.0, step=0.5)
    torch.testing.assert_close(result.potential["E"][:21], first.potential["E"])
    assert (result.potential["E"][22:] - first.potential["E"][-1]).abs().max() > 1e-6
    torch.testing.assert_close(result.potential["E"][-1], network.steady_state(sequence)["E"], rtol=0, atol=1e-3)
    torch.testing.assert_close(network.steady_state(sequence)["E"], network.steady_state(sequence[:, 1])["E"])


def test_slow_membranes_follow_the_slices_of_their_network():
    """With a step as long as a slice, one population makes the same exact steps in both."""
    circuit = Circuit()
    e = circuit.population("E", 3, tau_membrane=50)
    circuit.connect(circuit.input("x", 4), e)
    net = circuit.build(slices=20, slice_duration=0.7).double()
    x = torch.rand(2, 4, dtype=torch.float64)
    result = simulate(to_biophysical(net), x, 14.0, step=0.7)
    z = net.potentials.to_valence(result.potential["E"][1:]).transpose(0, 1)
    torch.testing.assert_close(z, net.run(x).potential["E"], rtol=0, atol=1e-7)


def test_potentials_may_be_of_another_range(recurrent):
    net, x, network = recurrent
    other = to_biophysical(net, PotentialRange(-90.0, 10.0), images=x)
    for name, V in network.steady_state(x).items():
        z = net.potentials.to_valence(V)
        torch.testing.assert_close(other.steady_state(x)[name], other.by_name[name].potentials.to_millivolts(z))


def test_what_goes_wrong_is_one_line(recurrent):
    net, x, network = recurrent
    part, never = copy.deepcopy(net), Circuit()
    part.readout = None
    e = never.population("E", 1, resting_potential=0.0, resting_conductance=1e-3)
    i = never.population("I", 1, reversal="GABA-B", resting_conductance=1e-3, gate="logistic", width=1e-3)
    never.connect(never.input("x", 1), e, conductance=1.0)
    never.connect(e, i, conductance=1.0)
    never.connect(i, e, conductance=1e3)
    oscillating = to_biophysical(never.build().double())
    for action, message in (
        (lambda: oscillating.steady_state(torch.ones(1, 1, dtype=torch.float64)), "the circuit comes to no rest"),
        (lambda: network.steady_state(2 * x), r"images["),
        (lambda: simulate(network, x, 10.0, record=("spike",)), "did you mean 'spikes'"),
        (lambda: simulate(network, x, 10.0, units={"F": [0]}), "unknown layer 'F'"),
        (lambda: simulate(network, x, 10.0, units={"PV": [4]}), "units of layer PV: it has 4 of them"),
        (lambda: to_biophysical(nn.Sequential(part, part)), "circuit 1 is used twice"),
        (lambda: to_biophysical(net.populations["E"].synapses), "runs within a circuit or a recurrent layer"),
    ):
        with pytest.raises(ConductanceError) as caught:
            action()
        assert message in str(caught.value)
        assert "\n" not in str(caught.value)
    assert math.isfinite(float(net(x).detach().sum()))
