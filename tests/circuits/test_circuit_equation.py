"""A circuit computes its equations: compared with a transcription in float64, and with layers."""

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from random_circuits import circuits, samples
from transcription import Transcription

from conductance import functional, nn
from conductance.circuits import Circuit, Convolution, Mask
from conductance.errors import InputError


def built(circuit, **options):
    """The network in float64, by default with all populations as outputs."""
    options = {"outputs": list(circuit.populations), "slices": 4, **options}
    torch.set_default_dtype(torch.float64)
    try:
        return circuit.build(settle=False, **options)
    finally:
        torch.set_default_dtype(torch.float32)


@given(circuits(pooled=True), st.sampled_from([1.0, 0.5]))
def test_a_random_circuit_equals_its_transcription(circuit, duration):
    net = built(circuit, slice_duration=duration)
    data = samples(circuit)
    ran = net.run(*data)
    expected = Transcription(circuit, net, duration).run(
        {name: values.numpy() for name, values in zip(circuit.inputs, data, strict=True)}, 4
    )
    sent = torch.cat([ran.sent[name] for name in net.outputs], -1)
    np.testing.assert_allclose(sent.detach().numpy(), expected, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(net(*data), sent[:, -1])


def test_pooled_interneurons_are_those_of_layers_where_membranes_take_no_time():
    circuit = Circuit()
    x = circuit.input("x", 6, coding="doubled")
    circuit.connect(x, circuit.population("a", 5, pooled_interneuron=True))
    net = built(circuit, slices=1)
    synapses = net.populations["a"].synapses
    layer = nn.CWALinear(
        12, 5, resting_conductance=synapses.resting_conductance, resting_potential=synapses.resting_potential,
        pooled_interneuron=True, dtype=torch.float64,
    )  # fmt: skip
    layer.set_conductance(synapses.conductance.detach())
    p = torch.rand(3, 6, dtype=torch.float64)
    torch.testing.assert_close(net(p), layer(torch.cat([p, p], 1)))


@pytest.mark.parametrize("tau", [None, 20.0])
def test_a_convolutional_population_has_one_at_each_point(tau):
    circuit = Circuit()
    x = circuit.input("x", (5, 5), channels=2)
    a = circuit.population("a", (5, 5), channels=4, pooled_interneuron=True, tau_membrane=tau)
    circuit.connect(x, a, rule=Convolution(3, padding=1))
    net = built(circuit, slices=3)
    alone = built(circuit, slices=3)
    alone.load_state_dict(net.state_dict())
    population = alone.populations["a"]
    population.pooled_interneuron = population.synapses.pooled_interneuron = False
    images = torch.rand(2, 2, 5, 5, dtype=torch.float64)
    if tau is None:
        population.synapses.activation = None
        z = alone(images).view(2, 4, 5, 5)
        torch.testing.assert_close(net(images).view(2, 4, 5, 5), functional.pooled_interneuron(z, -3, "relu"))
    else:
        V = net.run(images).potential["a"][:, -1].view(2, 4, 5, 5).mean(1)
        before = alone.run(images).potential["a"][:, -1].view(2, 4, 5, 5).mean(1)
        assert bool((V.abs() < before.abs()).all())


def test_a_single_neuron_has_no_pooled_interneuron():
    with pytest.raises(InputError, match="a single neuron is its own mean"):
        Circuit().population("a", 1, pooled_interneuron=True)


@given(circuits(pooled=True))
def test_a_sequence_is_shown_element_by_element(circuit):
    net = built(circuit, slices=2)
    data = [torch.rand(2, 3, *each.shape, dtype=torch.float64) for each in circuit.inputs.values()]
    transcription = Transcription(circuit, net)
    expected = [
        transcription.run_one(
            {
                name: values[n].repeat_interleave(2, 0).numpy()
                for name, values in zip(circuit.inputs, data, strict=True)
            },
            6,
        )[1::2]
        for n in range(2)
    ]
    np.testing.assert_allclose(net(*data).detach().numpy(), np.stack(expected), rtol=1e-9, atol=1e-12)


@given(circuits())
def test_a_run_goes_on_from_a_state(circuit):
    data = samples(circuit)
    whole, half = built(circuit, slices=6), built(circuit, slices=3)
    half.load_state_dict(whole.state_dict())
    torch.testing.assert_close(half(*data, state=half.run(*data).state), whole(*data))


@given(st.integers(2, 6), st.integers(1, 5), st.sampled_from(["doubled", None]))
def test_a_circuit_of_one_projection_equals_the_layer(inputs, units, coding):
    circuit = Circuit()
    e = None if coding else torch.linspace(-1, 1, inputs).tolist()
    circuit.connect(circuit.input("x", inputs, coding=coding, valence=e), circuit.population("A", units))
    net = built(circuit, outputs=None, slices=1)
    layer = nn.CWALinear(
        inputs, units, valence=e, doubled_input=coding == "doubled", resting_potential=-0.3, dtype=torch.float64
    )
    layer.set_conductance(net.conductance("x", "A"))
    p = torch.rand(4, inputs, dtype=torch.float64)
    torch.testing.assert_close(net(p), layer(p))


@pytest.mark.parametrize(("axes", "stride"), [(1, 1), (2, 2), (3, 1)])
def test_a_convolutional_circuit_equals_the_layer(axes, stride):
    circuit = Circuit()
    grid = (5,) * axes
    rule = Convolution(3, stride)
    x = circuit.input("x", grid, channels=2, coding="on_off")
    a = circuit.population("A", rule.output_grid(grid), channels=3, valence=[1.0, -0.5, -1.0], resting_conductance=2)
    b = circuit.population("B", rule.output_grid(grid), channels=2, resting_conductance=2)
    circuit.connect(x, a, rule=rule)
    circuit.connect(a, b, rule=Convolution(1))
    net = built(circuit, outputs=None, slices=1)
    kind = (nn.CWAConv1d, nn.CWAConv2d, nn.CWAConv3d)[axes - 1]
    options = {"resting_potential": -0.3, "resting_conductance": 2.0, "dtype": torch.float64}
    with pytest.warns(UserWarning, match="excitatory"):
        first = kind(4, 3, 3, stride, 1, valence=[1.0] * 4, **options)
    second = kind(3, 2, 1, valence=[1.0, -0.5, -1.0], **options)
    first.set_conductance(net.conductance("x", "A"))
    second.set_conductance(net.conductance("A", "B"))
    p = torch.rand(2, 2, *grid, dtype=torch.float64)
    torch.testing.assert_close(net(p), second(first(torch.cat([p, 1 - p], 1))).flatten(1))


@given(st.integers(0, 4), st.integers(2, 6))
def test_lateral_inhibition_is_a_circuit_of_a_few_lines(slices, units):
    layer = nn.LateralLinear(5, units, slices=slices, interneurons=0.5, doubled_input=True, dtype=torch.float64)
    circuit = Circuit()
    x = circuit.input("x", 5, coding="doubled")
    e = circuit.population("E", units, valence=layer.unit_valence, resting_potential=-50)
    i = circuit.population(
        "I", layer.interneurons.out_channels, valence=-1, resting_conductance=1, resting_potential=-50
    )
    circuit.connect(x, e)
    circuit.connect(e, i, delay=1)
    circuit.connect(i, e, delay=0)
    net = built(circuit, slices=slices + 1, outputs=e)
    net.set_conductance("x", "E", layer.conductance)
    net.set_conductance("E", "I", layer.interneurons.conductance)
    net.set_conductance("I", "E", layer.strength * layer.feedback.conductance)
    net.populations["E"].synapses.leak.set_conductance(layer.resting_conductance)
    p = torch.rand(3, 5, dtype=torch.float64)
    torch.testing.assert_close(net(p), layer(p))
    net(p).sum().backward()
    layer(p).sum().backward()
    torch.testing.assert_close(net.populations["E"].synapses.g.grad[:, :10], layer.g.grad)


@given(circuits(), st.randoms(use_true_random=False))
def test_cutting_a_projection_equals_conductance_0(circuit, random):
    """Up to the default leak, which is a share of the synapses that there are."""
    removable = [each for each in circuit.projections if each.source in circuit.populations]
    assume(removable)
    cut = random.choice(removable)
    net, data = built(circuit), samples(circuit)
    left = [each for each in circuit.projections if each is not cut]
    circuit.projections = [
        replace(each, rule=Mask(net.conductance(each.source, each.target, each.delay) > 0)) for each in left
    ]
    net.set_conductance(cut.source, cut.target, 0.0, cut.delay)
    without = built(circuit)
    for each in left:
        G = net.conductance(each.source, each.target, each.delay)
        without.set_conductance(each.source, each.target, G, each.delay)
    for name, population in without.populations.items():
        population.synapses.leak.load_state_dict(net.populations[name].synapses.leak.state_dict())
        if population.leaky:
            population.capacitance.copy_(net.populations[name].capacitance)
    expected = net.run(*data).sent
    for name, sent in without.run(*data).sent.items():
        torch.testing.assert_close(sent, expected[name])


@given(circuits(), st.randoms(use_true_random=False))
def test_permuting_units_permutes_outputs(circuit, random):
    net, data = built(circuit), samples(circuit)
    name = random.choice(list(circuit.populations))
    units = circuit.populations[name].places.units
    order = torch.tensor(random.sample(range(units), units))
    permuted = deepcopy(net)
    for population in permuted.populations.values():
        if population.synapses.synapse_mask is not None:
            population.synapses.exists.fill_(True)
    for source, target, delay in net.projections:
        G = net.conductance(source, target, delay)
        G = G[order] if target == name else G
        permuted.set_conductance(source, target, G[:, order] if source == name else G, delay)
    population = permuted.populations[name]
    population.synapses.leak.set_conductance(net.populations[name].synapses.resting_conductance[order])
    if population.leaky:
        population.capacitance.copy_(population.capacitance[order])
    before, after = net.run(*data).sent, permuted.run(*data).sent
    for each in before:
        torch.testing.assert_close(after[each], before[each][..., order] if each == name else before[each])


def test_a_rollout_stops_at_the_tolerance():
    circuit = Circuit()
    x, e = circuit.input("x", 6, coding="doubled"), circuit.population("E", 8, tau_membrane=20)
    circuit.connect(x, e)
    circuit.connect(e, e)
    data = torch.rand(3, 6)
    net = circuit.build(settle=False, slices=500, tolerance=1e-6)
    ran = net.run(data)
    sent = ran.sent["E"]
    assert 2 < sent.shape[1] < 500
    assert (sent[:, -1] - sent[:, -2]).abs().max() <= 1e-6
    assert (sent[:, -2] - sent[:, -3]).abs().max() > 1e-6
    torch.testing.assert_close(net(data), ran.output)


def test_inputs_of_another_shape_are_refused():
    circuit = Circuit()
    circuit.connect(circuit.input("x", (2, 3)), circuit.population("A", 2))
    net = circuit.build(settle=False)
    assert net(torch.rand(5, 2, 3)).shape == (5, 2)
    assert net(torch.rand(5, 4, 2, 3)).shape == (5, 4, 2)
    with pytest.raises(InputError, match=r"input 'x' was given the shape \(5, 6\); give \(N, 2, 3\)"):
        net(torch.rand(5, 6))
    with pytest.raises(InputError, match="was given 2 input"):
        net(torch.rand(5, 2, 3), torch.rand(5, 2, 3))
