"""A trained network in time: it comes to rest at its own steady state, and under spikes it is there in the mean."""

import math

import pytest
import torch
from torch import nn

from conductance import init
from conductance.biophysics import (
    TAU_E,
    TAU_I,
    PotentialRange,
    fluctuation_shift,
    integrate,
    relax,
    simulate,
    steady_state,
    to_biophysical,
)
from conductance.errors import InputError, UnknownNameError
from conductance.models import create_model
from conductance.nn import CWAConv2d, CWALinear, Gate, LateralLinear

GROUPED = {"groups": 2, "doubled_input": True, "activation": "relu"}


def sequential():
    """Grouped, doubled, of several valences, the rectification a module of its own, pooled in between."""
    return nn.Sequential(
        CWAConv2d(2, 4, 3, padding=1, **GROUPED),
        nn.AvgPool2d(2),
        CWAConv2d(4, 6, 3, padding=1, valence=[1.0, 0.25, -0.5, -1.0], resting_potential=-0.3),
        nn.ReLU(),
        nn.Flatten(),
        CWALinear(6 * 9, 8, excitatory_share=0.8, resting_conductance=4.0, activation="relu"),
        nn.Linear(8, 3),
    )


def gates():
    """Gates of their own: learned ones, moved away from where they start, and one that cuts nothing."""
    model = nn.Sequential(
        nn.Flatten(),
        CWALinear(72, 12, doubled_input=True, learn_gate=True, resting_conductance=1.0),
        CWALinear(12, 8, activation="full_range"),
        LateralLinear(8, 6, learn_gate=True, slices=2),
        nn.Linear(6, 3),
    )
    for gate in (part for part in model.modules() if isinstance(part, Gate)):
        nn.init.uniform_(gate.threshold, -0.3, 0.1)
        nn.init.uniform_(gate.log_width, -1.0, 0.5)
    return model


# With a smaller leak, units that receive next to nothing are slow and noisy.
LEAK = {"layer_options": {"resting_conductance": 1.0}}
MODELS = {
    "fcn": lambda: create_model("fcn", input_shape=(2, 6, 6), num_classes=3, widths=(16, 12), **LEAK),
    "cnn": lambda: create_model("cnn", input_shape=(2, 6, 6), num_classes=3, widths=(8, 8), **LEAK),
    "resnet18": lambda: create_model(
        "resnet18", input_shape=(2, 6, 6), num_classes=3, widths=(6, 6, 6, 6), blocks=1, **LEAK
    ),
    "sequential": sequential,
    "gates": gates,
}
RANGE = PotentialRange(-90.0, 0.0)


def images(n=3):
    return torch.rand(n, 2, 6, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def build(name):
    """A network in float64 in which units of every layer are active, and its membranes."""
    model, x = MODELS[name](), images()
    init.initialize(model, x.float())
    model = model.double().eval()
    return model, x, to_biophysical(model, RANGE, images=x)


@pytest.mark.parametrize("name", MODELS)
def test_every_layer_comes_to_rest_at_its_z_and_the_logits_at_the_networks(name):
    model, x, network = build(name)
    result = simulate(network, x, 3000.0, step=10.0, every=300)
    expected = network.steady_state(x)
    assert list(result.potential) == list(expected) == [layer.name for layer in network.layers]
    for layer, V in expected.items():
        assert result.potential[layer].shape == (2, *V.shape)
        torch.testing.assert_close(
            RANGE.to_valence(result.potential[layer][-1]), RANGE.to_valence(V), rtol=0, atol=1e-5
        )
        assert (V - result.potential[layer][0]).abs().max() > 1
    torch.testing.assert_close(result.logits[-1], model(x), rtol=0, atol=1e-4)


def test_starts_at_rest_and_the_first_layer_relaxes_exactly_at_any_step():
    _, x, network = build("cnn")
    layer = network.layers[0]
    E, I = (layer.nanosiemens * each.detach() for each in layer.layer.excitation_inhibition(x))
    rest = layer.resting_potential.view(-1, 1, 1).expand_as(E)
    for step in (0.5, 3.0):
        result = simulate(network, x, 9.0, step=step)
        V = result.potential[layer.name]
        assert result.time.tolist() == [k * step for k in range(round(9 / step) + 1)]
        torch.testing.assert_close(V[0], rest)
        for t, there in zip(result.time, V, strict=True):
            torch.testing.assert_close(there, relax(rest, E + I, -90.0 * I, 200.0, t), rtol=0, atol=1e-9)


def test_deeper_layers_follow_the_layer_before_them():
    """Their conductances are those that the recorded potentials of the layer before open during each step."""
    _, x, network = build("fcn")
    first, second = network.layers
    result = simulate(network, x, 20.0, step=0.5)
    p = first.open_probability(result.potential[first.name][:-1])
    E, I = (second.nanosiemens * each.detach() for each in second.layer.excitation_inhibition(p))
    V = integrate(second.resting_potential, E + I, -90.0 * I, 200.0, 0.5, accuracy=math.inf)
    torch.testing.assert_close(result.potential[second.name][1:], V, rtol=0, atol=1e-9)


def test_potentials_stay_between_the_reversal_potentials_at_any_step_and_under_few_spikes():
    _, x, network = build("sequential")
    few = {"mode": "spiking", "rate_max": 5.0}
    with pytest.warns(UserWarning, match="one spike opens 40 times"):
        spiking = simulate(network, x, 600.0, step=30.0, **few)
    for result in (simulate(network, x, 600.0, step=30.0), spiking):
        for V in result.potential.values():
            assert V.min() >= -90.0
            assert V.max() <= 0.0


def test_the_model_stays_as_it_was():
    model, x, network = build("cnn")
    before, output = {name: value.clone() for name, value in model.state_dict().items()}, model(x)
    model.train()
    simulate(network, x, 5.0, mode="spiking")
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(model(x), output)


# Spikes --------------------------------------------------------------------------------------------------------------


def spiking(network, x, duration, rate_max, seed=0, **options):
    generator = torch.Generator().manual_seed(seed)
    return simulate(network, x, duration, mode="spiking", rate_max=rate_max, generator=generator, units={}, **options)


@pytest.mark.parametrize("name", MODELS)
def test_means_over_time_approach_the_steady_state_as_spikes_grow_many(name):
    """The noise falls as one over the root of the number of spikes, the shift of the mean as one over the number."""
    model, x, network = build(name)
    few, many = (spiking(network, x, 800.0, rate_max, step=2.5, average_from=500.0) for rate_max in (1e4, 1e6))
    for layer, V in network.steady_state(x).items():
        distances = [(result.mean_potential[layer] - V).square().mean().sqrt() for result in (few, many)]
        assert distances[1] < 0.5  # mV, of the 90 between the reversal potentials
        assert distances[1] < distances[0] / 5
    torch.testing.assert_close(many.mean_logits, model(x), rtol=0, atol=0.03)


def test_means_of_a_layer_under_spikes_are_eq_1_with_the_predicted_shift_and_variance():
    """The mean of s_j over T has the variance p_j / (R T), and moves V_i by G_ij (E_j - V_i) / G_i."""
    x = images(40).flatten(1)
    model = CWALinear(72, 20, doubled_input=True, resting_conductance=20.0, dtype=torch.float64)
    model.set_conductance(torch.rand(20, 144, generator=torch.Generator().manual_seed(2), dtype=torch.float64))
    network = to_biophysical(model, RANGE, images=x)
    (layer,), rate_max, duration = network.layers, 200.0, 2000.0
    result = spiking(network, x, 200.0 + duration, rate_max, step=0.5, average_from=200.0)
    p, G, E = torch.cat((x, x), 1), layer.conductance, layer.reversal_potential
    leak = {"resting_conductance": layer.resting_conductance, "resting_potential": layer.resting_potential}
    V = steady_state(p, G, E, **leak)
    shift = fluctuation_shift(
        p,
        G,
        E,
        **leak,
        capacitance=layer.capacitance,
        rate_max=rate_max,
        time_constant=torch.where(E == 0, TAU_E, TAU_I).double(),
    )
    pull = G * (E - V[..., None]) / (layer.resting_conductance + p @ G.T)[..., None]
    deviation = (pull.square() @ (p / (rate_max * duration / 1000))[..., None]).squeeze(-1).sqrt()
    score = (result.mean_potential[""] - V - shift) / deviation
    draws = len(x)  # units of an image share its spikes
    assert abs(score.square().mean().sqrt() - 1) < 3 / (2 * draws) ** 0.5
    assert score.mean().abs() < 3 / draws**0.5
    assert score.abs().max() < 5


def test_the_copies_of_a_doubled_input_fire_apart_and_synapses_of_a_unit_together():
    """Two units with the same synapses stay together; a balanced pair of copies would cancel if they fired as one."""
    model = CWALinear(1, 2, doubled_input=True, dtype=torch.float64)
    model.set_conductance(torch.ones(2, 2))
    network = to_biophysical(model)
    result = simulate(network, torch.ones(1, 1, dtype=torch.float64), 100.0, mode="spiking", tau_E=5.0, tau_I=5.0)
    V = result.potential[""]
    assert torch.equal(V[..., 0], V[..., 1])
    assert V.std() > 1


def test_the_same_seed_gives_the_same_spikes():
    _, x, network = build("cnn")
    first, again, other = (spiking(network, x, 20.0, 500.0, seed=seed).logits for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


# What is recorded ----------------------------------------------------------------------------------------------------


def test_chosen_units_and_every_so_many_steps_are_what_all_would_have_shown():
    _, x, network = build("cnn")
    name, other = (layer.name for layer in network.layers)
    all_of_it = simulate(network, x, 12.0)
    some = simulate(network, x, 12.0, units={name: [3, 0, 71]}, every=4)
    assert list(some.potential) == [name]
    assert some.time.tolist() == [0.0, 4.0, 8.0, 12.0]
    torch.testing.assert_close(some.potential[name], all_of_it.potential[name].flatten(2)[::4, :, [3, 0, 71]])
    torch.testing.assert_close(some.logits, all_of_it.logits[::4])
    late = simulate(network, x, 12.0, units={}, average_from=9.0)
    assert late.potential == {}
    torch.testing.assert_close(late.mean_potential[other], all_of_it.potential[other][9:].mean(0))
    torch.testing.assert_close(late.mean_logits, all_of_it.logits[9:].mean(0))


@pytest.mark.parametrize(("duration", "step", "first"), [(0.9, 0.3, 3), (10.0, 3.0, 3), (0.6, 0.2, 3)])
def test_means_from_the_end_on_are_the_last_moment(duration, step, first):
    _, x, network = build("fcn")
    result = simulate(network, x, duration, step=step, average_from=duration)
    assert len(result.time) == first + 1
    torch.testing.assert_close(result.mean_logits, result.logits[-1], rtol=0, atol=0)


def test_each_step_is_told_of():
    calls = []
    _, x, network = build("fcn")
    simulate(network, x, 7.0, on_step=lambda: calls.append(None))
    assert len(calls) == 7


# What goes wrong -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"duration": 0.0}, "duration=0 ms with step=1 ms"),
        ({"step": 0.0}, "duration=10 ms with step=0 ms"),
        ({"step": 20.0}, "duration=10 ms with step=20 ms: give a step above 0, and at least one"),
        ({"every": 0}, "every=0: record every step"),
        ({"average_from": 11.0}, "average_from=11 ms: give a time within the 10 ms"),
        ({"mode": "spiking", "rate_max": 0.0}, "rate_max is 0 spikes/s; give a finite number above 0"),
        ({"mode": "spiking", "tau_I": -1.0}, "tau_I is -1 ms"),
        ({"mode": "spiking", "rate_max": 1e300}, r"rate_max=1e\+300 spikes/s with steps of 1 ms"),
        ({"units": {"hidden.0": [288]}}, r"units of layer hidden\.0: it has 72 of them, numbered from 0"),
    ],
    ids=str,
)
def test_refuses_a_course_that_cannot_be_run(options, complaint):
    _, x, network = build("cnn")
    with pytest.raises(InputError, match=complaint):
        simulate(network, x, **{"duration": 10.0, **options})


@pytest.mark.parametrize("options", [{"mode": "spikes"}, {"units": {"hidden.7": []}}], ids=str)
def test_refuses_names_that_do_not_exist(options):
    _, x, network = build("cnn")
    with pytest.raises(UnknownNameError, match=r"did you mean '(spiking|hidden\.)"):
        simulate(network, x, 10.0, **options)


def test_refuses_inputs_and_shortcuts_that_are_no_open_probabilities():
    _, x, network = build("cnn")
    with pytest.raises(InputError, match=r"^images\[.*is 1\..*; a probability lies in"):
        simulate(network, 2 * x, 10.0)
    model = create_model(
        "resnet18", input_shape=(2, 6, 6), num_classes=3, widths=(6, 6, 6, 6), blocks=2, shortcut="sum"
    )
    init.initialize(model, x.float())
    with torch.no_grad():
        for layer in (part for part in model.modules() if isinstance(part, CWAConv2d)):
            layer.set_conductance(layer.conductance * (layer.presynaptic.per_synapse(layer.conductance) > 0))
    with pytest.raises(InputError, match=r"the input of layer stages\..*: open_probability\[.*a probability lies in"):
        simulate(to_biophysical(model), x.float(), 1000.0, step=20.0)


class Twice(nn.Module):
    def __init__(self, times):
        super().__init__()
        self.layer, self.times = CWALinear(4, 4, activation="relu"), times

    def forward(self, p):
        for _ in range(self.times):
            p = self.layer(p)
        return p


@pytest.mark.parametrize(("times", "complaint"), [(2, "layer runs twice in one pass"), (0, "layer does not run when")])
def test_refuses_a_layer_that_does_not_run_once(times, complaint):
    with pytest.raises(InputError, match=complaint):
        simulate(to_biophysical(Twice(times)), torch.rand(2, 4), 10.0)
