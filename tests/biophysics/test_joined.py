"""Conductances of other layers that join an average: interneurons, lateral inhibition, gap junctions, shortcuts."""

from importlib.util import find_spec

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from joined_networks import NETWORKS, RANGE, Circuit, build
from script_runs import run
from torch import nn

from conductance import init
from conductance.analysis import observe
from conductance.biophysics import export_neuron, point_neurons, simulate, steady_state, to_biophysical
from conductance.errors import InputError
from conductance.nn import ConductanceLayer, CWALinear


def z_of(model, x):
    """What the layers themselves return, made z again where it is rectified; of the last call of each."""
    seen = {}
    for name, layer in model.named_modules():
        if isinstance(layer, ConductanceLayer) and layer.average:
            layer.register_forward_hook(lambda *call, name=name: seen.update({name: call[-1].detach()}))
    model(x)
    for layer in model.modules():
        layer._forward_hooks.clear()
    return seen


@pytest.mark.parametrize("name", NETWORKS)
def test_the_steady_state_is_the_networks_z(name):
    model, x, network = build(name)
    sent = z_of(model, x)
    V = network.steady_state(x)
    assert set(V) == {each.name for each in network.layers} == set(sent)
    for layer, potential in V.items():
        z = RANGE.to_valence(potential)
        z = z.clamp(min=0) if network.by_name[layer].layer.activation == "relu" else z
        torch.testing.assert_close(z, sent[layer], rtol=0, atol=1e-12)


def eq_1(neuron):
    """The potential of a written neuron, from its numbers alone."""
    _, G, p, E = torch.tensor(neuron.synapses, dtype=torch.float64).view(-1, 4).T
    leak = {"resting_conductance": neuron.resting_conductance, "resting_potential": neuron.resting_potential}
    return steady_state(p, G[None], E, **leak).item()


@pytest.mark.parametrize("name", NETWORKS)
def test_every_unit_is_eq_1_of_its_open_synapses(name):
    _, x, network = build(name)
    for layer, V in network.steady_state(x[:1]).items():
        neurons = point_neurons(network, layer, x[:1])
        assert [neuron.unit for neuron in neurons] == list(range(V.numel()))
        for neuron, potential in zip(neurons, V.flatten().tolist(), strict=True):
            assert eq_1(neuron) == pytest.approx(potential, abs=2e-5)  # steady_state reads its numbers as float32
            assert all(0 <= p <= 1 and G > 0 and -90 <= E <= 0 for _, G, p, E in neuron.synapses)


weights = st.floats(0, 10)


@given(weights, weights, weights, st.integers(0, 999), st.sampled_from([torch.float32, torch.float64]))
def test_whatever_joins_is_eq_1_of_its_open_synapses(a, b, c, seed, dtype):
    torch.manual_seed(seed)
    model = Circuit(lambda joined: a * joined["inhibition"] + b * joined["excitation"] + c * joined["junction"])
    nn.init.normal_(model.junction.log_conductance)
    init.lognormal_(model)
    model, x = model.to(dtype), torch.rand(1, 6, dtype=dtype)
    network = to_biophysical(model, RANGE, images=x)
    z = observe(model, x)[-1].z.flatten()
    for neuron, expected in zip(point_neurons(network, "units", x), z.tolist(), strict=True):
        assert RANGE.to_valence(eq_1(neuron)) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_membranes_come_to_rest_there(name):
    model, x, network = build(name)
    result = simulate(network, x, 4000.0, step=50.0, every=80)
    expected = network.steady_state(x)
    assert list(result.potential) == list(expected)
    for layer, V in expected.items():
        torch.testing.assert_close(
            RANGE.to_valence(result.potential[layer][-1]), RANGE.to_valence(V), rtol=0, atol=1e-5
        )
    torch.testing.assert_close(result.logits[-1], model(x), rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", ["all", "lateral", "pooled", "side by side", "resnet"])
def test_under_many_spikes_they_are_there_in_the_mean(name):
    _, x, network = build(name)
    generator = torch.Generator().manual_seed(0)
    options = {"mode": "spiking", "rate_max": 1e6, "generator": generator, "units": {}}
    result = simulate(network, x, 2000.0, step=10.0, average_from=1000.0, **options)
    for layer, V in network.steady_state(x).items():
        assert (result.mean_potential[layer] - V).square().mean().sqrt() < 1


@pytest.mark.skipif(
    find_spec("neuron") is None, reason="NEURON is not installed: pip install 'conductance[biophysics]'"
)
@pytest.mark.parametrize(("name", "layer", "units"), [
    ("all", "units", None),
    ("interneurons", "units", [0, 3]),
    ("no sum of synapses", "units", 2),
    ("lateral", "0", [0, 5, 11]),
    ("lateral", "2", None),
    ("lateral", "2.interneurons", None),
    ("pooled", "0", [0, 5, 11]),
    ("pooled", "3", None),
    ("side by side", "narrow", [1, 10]),
    ("resnet", "stages.0.0.second", [0, 7]),
    ("resnet", "stages.1.0.second", None),
    ("resnet, lateral", "stages.1.0.second", [0, 11]),
    ("resnet, pooled", "stages.1.0.second", [0, 11]),
])  # fmt: skip
def test_neuron_comes_to_rest_at_the_networks_potential(name, layer, units, tmp_path):
    _, x, network = build(name)
    theirs = run(export_neuron(network, layer, units, x[:1], tmp_path)[0])
    V = network.steady_state(x[:1])[layer].flatten()
    chosen = range(V.numel()) if units is None else [units] if isinstance(units, int) else units
    assert list(theirs) == ["time", *(f"unit{unit}" for unit in chosen)]
    for unit in chosen:
        assert theirs[f"unit{unit}"][-1] == pytest.approx(V[unit].item(), abs=1e-6)


def test_a_written_synapse_says_where_it_comes_from():
    model, x, network = build("all")
    with torch.no_grad():
        p = model.first(x[:1].flatten(1))
        q = model.interneurons(p)[0].tolist()
        p = p[0].tolist()
    neuron = point_neurons(network, "units", x[:1], 1)[0]
    assert neuron.origins == (("inhibition", 4), ("excitation", 7), ("always open", 11))
    synapses = {j: numbers for j, *numbers in neuron.synapses}
    nS = network.by_name["units"].nanosiemens
    for which, layer, first, sent in [("inhibition", model.inhibition, 4, q), ("excitation", model.excitation, 7, p)]:
        for j, open_probability in enumerate(sent):
            G = nS * layer.conductance[1, j].item()
            E = RANGE.to_millivolts(layer.valence[j].item())
            if open_probability > 0:
                assert synapses[first + j] == pytest.approx([G, open_probability, E]), which
            else:
                assert first + j not in synapses
    G, open_probability, E = synapses[11]
    leak, c = model.inhibition.resting_conductance[1].item(), model.junction.conductance[1].item()
    assert (G, open_probability) == (pytest.approx(nS * (leak + c)), 1)
    assert RANGE.to_valence(E) == pytest.approx(c * p[1] / (leak + c))


def test_both_scripts_name_the_origins_and_hold_the_same_neurons(tmp_path):
    _, x, network = build("all")
    neurons = [
        (each.unit, each.resting_conductance, each.resting_potential, each.capacitance, list(each.synapses))
        for each in point_neurons(network, "units", x[:1])
    ]
    for written in export_neuron(network, "units", None, x[:1], tmp_path):
        text = written.read_text()
        assert "# presynaptic neurons from 7 on: excitation\n" in text
        names = {}
        exec(text[text.index("NEURONS = [") : text.index("]\n\n")] + "]", names)
        assert names["NEURONS"] == neurons


def test_total_conductance_counts_what_joins():
    model, x, network = build("all")
    (seen,) = (each for each in observe(model, x) if each.name == "units")
    total = (seen.excitation + seen.inhibition).mean().item()
    assert network.by_name["units"].nanosiemens == pytest.approx(50.0 / total)
    assert [each.name for each in network.synapses] == ["inhibition", "excitation"]


@pytest.mark.parametrize(("change", "complaint"), [
    (lambda inhibition: -inhibition, r"what joins layer units: extra_conductances\[0, 0\] is -.*; a conductance is"),
    (lambda inhibition: inhibition / 0, "what joins layer units: extra_conductances.* is (inf|nan)"),
    (lambda inhibition: inhibition[:, :4], r"what joins layer units has the shape \(1, 4\); give the E' of its 4"),
])  # fmt: skip
def test_what_no_membrane_can_have_is_refused_by_name(change, complaint):
    network = to_biophysical(Circuit(lambda joined: change(joined["inhibition"])).double())
    x = torch.rand(1, 6).double()
    with pytest.raises(InputError, match=complaint):
        simulate(network, x, 10.0)
    with pytest.raises(InputError, match=complaint):
        point_neurons(network, "units", x)


def test_a_layer_that_does_not_run_is_named():
    class Idle(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.idle = CWALinear(4, 3, activation="relu"), CWALinear(4, 3, activation="relu")

        def forward(self, x):
            return self.used(x)

    x = torch.rand(2, 4)
    with pytest.raises(InputError, match="layer idle does not run when the network does"):
        to_biophysical(Idle(), images=x)
    with pytest.raises(InputError, match="layer idle does not run when the network does"):
        simulate(to_biophysical(Idle()), x, 5.0)
