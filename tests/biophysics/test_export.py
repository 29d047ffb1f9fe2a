"""Neurons written for other simulators: what the scripts say is what the membranes are, and NEURON agrees."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from script_runs import columns, run
from torch import nn

from conductance import init
from conductance.biophysics import (
    PointNeuron,
    PotentialRange,
    export_neuron,
    in_parallel,
    point_neurons,
    relax,
    simulate,
    steady_state,
    to_biophysical,
)
from conductance.biophysics.export import BRIAN2, script
from conductance.errors import InputError, UnknownNameError
from conductance.nn import CWAConv2d, CWALinear

RANGE = PotentialRange(-90.0, 0.0)


@pytest.fixture(scope="module")
def network():
    """A doubled input, groups, several valences and a layer that rests elsewhere; float64."""
    torch.manual_seed(0)
    model = nn.Sequential(
        CWAConv2d(2, 4, 3, padding=1, groups=2, doubled_input=True, activation="relu"),
        CWAConv2d(4, 6, 3, stride=2, valence=[1.0, 0.25, -0.5, -1.0], resting_potential=-0.4, activation="relu"),
        nn.Flatten(),
        CWALinear(24, 5, excitatory_share=0.8, resting_conductance=torch.linspace(0.5, 4, 5), activation="relu"),
        nn.Linear(5, 3),
    )
    init.initialize(model, images().float())
    return to_biophysical(model.double(), RANGE, images=images())


def images():
    return torch.rand(4, 2, 6, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def potential(neuron):
    """Eq. 1 of a written neuron, from its numbers alone."""
    _, G, p, E = torch.tensor(neuron.synapses, dtype=torch.float64).view(-1, 4).T
    leak = {"resting_conductance": neuron.resting_conductance, "resting_potential": neuron.resting_potential}
    return steady_state(p, G[None], E, **leak).item()


def test_each_unit_of_each_layer_is_eq_1_of_its_open_synapses(network):
    image = images()[:1]
    for name, V in network.steady_state(image).items():
        neurons = point_neurons(network, name, image)
        assert [neuron.unit for neuron in neurons] == list(range(V.numel()))
        torch.testing.assert_close(
            torch.tensor([potential(each) for each in neurons]).double(), V.flatten(), rtol=0, atol=1e-5
        )
        assert {E for neuron in neurons for *_, E in neuron.synapses} <= {
            RANGE.to_millivolts(e) for e in network.by_name[name].layer.valence.tolist()
        }


def test_a_written_synapse_is_the_layers_own(network):
    """In a linear layer the presynaptic neuron's number is the column of G."""
    image = images()[1:2]
    layer = network.by_name["3"]
    (neuron,) = point_neurons(network, "3", image, [2])
    p = network.model[:3](image)[0]
    expected = [
        (j, layer.conductance[2, j].item(), p[j].item(), layer.reversal_potential[j].item())
        for j in (layer.conductance[2] * p > 0).nonzero().flatten().tolist()
    ]
    assert [synapse[0] for synapse in neuron.synapses] == [synapse[0] for synapse in expected]
    torch.testing.assert_close(torch.tensor(neuron.synapses), torch.tensor(expected))
    assert neuron.capacitance == layer.capacitance[2]
    assert neuron.resting_conductance == pytest.approx(layer.resting_conductance[2].item())


@pytest.mark.skipif(
    find_spec("neuron") is None, reason="NEURON is not installed: pip install 'conductance[biophysics]'"
)
@pytest.mark.parametrize(("layer", "units"), [("0", [0, 17, 143]), ("1", 7), ("3", None)])
def test_neuron_runs_its_script_and_comes_to_rest_at_our_potential(network, layer, units, tmp_path):
    image = images()[:1]
    file, _ = export_neuron(network, layer, units, image, tmp_path)
    theirs = run(file)
    V = network.steady_state(image)[layer].flatten()
    chosen = range(V.numel()) if units is None else [units] if isinstance(units, int) else units
    assert list(theirs) == ["time", *(f"unit{unit}" for unit in chosen)]
    for unit, neuron in zip(chosen, point_neurons(network, layer, image, list(chosen)), strict=True):
        column = theirs[f"unit{unit}"]
        assert column[-1] == pytest.approx(V[unit].item(), abs=1e-6)
        torch.testing.assert_close(torch.tensor(column[:-1]).double(), course(neuron), rtol=0, atol=1e-3)


def course(neuron):
    """V from 0 to 100 ms."""
    _, G, p, E = torch.tensor(neuron.synapses, dtype=torch.float64).view(-1, 4).T
    total, driving = in_parallel(G * p, E)
    return relax(
        neuron.resting_potential,
        total + neuron.resting_conductance,
        driving + neuron.resting_conductance * neuron.resting_potential,
        neuron.capacitance,
        torch.arange(101.0).double(),
    )


def test_both_scripts_hold_the_same_neurons_to_the_last_digit(network, tmp_path):
    expected = [
        (each.unit, each.resting_conductance, each.resting_potential, each.capacitance, list(each.synapses))
        for each in point_neurons(network, "3", images()[:1], [1, 4])
    ]
    for written in export_neuron(network, "3", [1, 4], images()[:1], tmp_path):
        text = written.read_text()
        compile(text, written, "exec")
        names = {}
        exec(text[text.index("NEURONS = [") : text.index("]\n\n")] + "]", names)
        assert names["NEURONS"] == expected


# Brian2 2.9.0 does not import with numpy 2, so it ran in an environment of its own (`tools/record_brian2.py` says how):
# brian/bin/python tests/biophysics/brian2_script.txt > tests/biophysics/brian2_output.csv
FIXED = [
    PointNeuron(3, 1.5, -60.0, 200.0, ((0, 12.5, 0.25, 0.0), (4, 3.0, 1.0, -70.0), (9, 40.0, 0.125, -90.0))),
    PointNeuron(8, 10.0, -65.0, 150.0, ()),
    PointNeuron(11, 0.25, -35.0, 100.0, ((0, 2.0, 0.25, 0.0), (7, 0.5, 0.75, -70.0))),
]


def test_brian2_ran_the_script_that_is_written_now_and_agrees():
    here = Path(__file__).parent
    assert script(BRIAN2, "hidden.1", FIXED) == (here / "brian2_script.txt").read_text()
    theirs = columns((here / "brian2_output.csv").read_text())
    for neuron in FIXED:
        column = torch.tensor(theirs[f"unit{neuron.unit}"], dtype=torch.float64)
        torch.testing.assert_close(column[:-1], course(neuron), rtol=0, atol=1e-6)
        assert column[-1].item() == pytest.approx(potential(neuron), abs=1e-6)


def test_a_unit_without_open_synapses_is_its_leak_alone(tmp_path):
    model = CWALinear(3, 2, resting_potential=-0.5)
    network = to_biophysical(model)
    dark = torch.zeros(1, 3)
    (neuron, _) = point_neurons(network, "", dark)
    assert neuron.synapses == ()
    assert neuron.resting_potential == pytest.approx(-75.0)
    for written in export_neuron(network, "", 0, dark, tmp_path):
        compile(written.read_text(), written, "exec")


@pytest.mark.parametrize("units", [
    2, np.int64(2), np.uint8(2), torch.tensor(2), [2], (2,), range(2, 3), np.array([2]), torch.tensor([2]),
    [np.int64(2)], [torch.tensor(2)], torch.tensor([2], dtype=torch.int32),
], ids=repr)  # fmt: skip
def test_units_are_numbered_by_python_numpy_or_torch(network, units, tmp_path):
    image = images()[:1].numpy()
    assert point_neurons(network, "3", image, units) == point_neurons(network, "3", image, [2])
    (written, _) = export_neuron(network, "3", units, image, tmp_path)
    assert "    (2, " in written.read_text()
    result = simulate(network, image, 2.0, units={"3": units})
    assert result.potential["3"].shape == (3, 1, 1)


@pytest.mark.parametrize("units", [1.5, [0.0, 1.0], "1", [True, False], np.zeros((1, 1), dtype=int), [None]], ids=repr)
def test_what_numbers_no_unit_is_refused(network, units, tmp_path):
    with pytest.raises(InputError, match=r"units of layer 3: give whole numbers|units=.*; give an integer"):
        export_neuron(network, "3", units, images()[:1], tmp_path)
    with pytest.raises(InputError, match=r"units of layer 3: give whole numbers|units=.*; give a mapping"):
        simulate(network, images(), 2.0, units={"3": units})


def test_at_least_one_unit_is_written(network, tmp_path):
    with pytest.raises(InputError, match=r"units of layer 3: give at least one, or None for all"):
        export_neuron(network, "3", np.array([], dtype=int), images()[:1], tmp_path)


def test_refuses_what_is_not_there(network, tmp_path):
    one = images()[:1]
    with pytest.raises(UnknownNameError, match="unknown layer '7'"):
        export_neuron(network, "7", 0, one, tmp_path)
    with pytest.raises(InputError, match=r"unit 5 of layer 3: it has 5 of them, numbered from 0"):
        export_neuron(network, "3", 5, one, tmp_path)
    with pytest.raises(InputError, match=r"image has shape \(4, 2, 6, 6\); give one"):
        export_neuron(network, "3", 0, images(), tmp_path)
    with pytest.raises(InputError, match=r"images\[0, 0, 0, 0\] is -"):
        export_neuron(network, "0", 0, -one, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_image_stays_as_it_was():
    model = nn.Sequential(CWALinear(4, 3, activation="relu"), nn.Linear(3, 2))
    image = torch.rand(1, 4)
    (neuron,) = point_neurons(to_biophysical(model), "0", image, torch.tensor([1]).numpy())
    assert not image.requires_grad
    assert type(neuron.unit) is int
