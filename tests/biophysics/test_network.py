"""A trained network read as membranes: the quantities of eq. 1, in mV and nS, and what is no membrane."""

import pytest
import torch
from torch import nn

from conductance.biophysics import (
    AMPA,
    GABA_B,
    PotentialRange,
    rectified_gate,
    steady_state,
    to_biophysical,
)
from conductance.data import Preprocessing
from conductance.errors import InputError
from conductance.models import create_model
from conductance.nn import AbsNormLinear, CWAConv2d, CWALinear
from conductance.share.classifier import ImageClassifier
from conductance.transform import freeze

RANGES = [PotentialRange(), PotentialRange(GABA_B.reversal_potential, AMPA.reversal_potential)]


def fcn():
    return create_model("fcn", input_shape=(1, 3, 3), num_classes=4, widths=(8, 6))


def images(n=5, size=3):
    return torch.rand(n, 1, size, size, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("potentials", RANGES, ids=str)
@pytest.mark.parametrize("total", [10.0, 300.0])
def test_every_layer_is_eq_1_of_what_the_membranes_are_said_to_have(potentials, total):
    """Float64, from the numbers in mV and nS alone, layer after layer: the potentials are the network's z."""
    model = fcn().double()
    x = images()
    network = to_biophysical(model, potentials, total)
    V = network.steady_state(x)
    p = x.flatten(1)
    for layer in network.layers:
        if layer.layer.doubled_input:
            p = torch.cat((p, p), 1)
        expected = steady_state(
            p,
            layer.conductance,
            layer.reversal_potential,
            resting_conductance=layer.resting_conductance,
            resting_potential=layer.resting_potential,
        )
        torch.testing.assert_close(V[layer.name], expected, rtol=0, atol=1e-9)
        p = layer.open_probability(expected)
        gate = rectified_gate(expected, threshold=potentials.midpoint, slope_factor=potentials.half_width)
        torch.testing.assert_close(p, gate, rtol=0, atol=0)
    torch.testing.assert_close(model.readout(p), model(x), rtol=0, atol=1e-9)


def test_excitatory_presynaptic_neurons_reverse_at_the_maximum_and_inhibitory_ones_at_the_minimum():
    network = to_biophysical(fcn(), RANGES[1])
    for layer in network.layers:
        assert layer.reversal_potential.shape == layer.conductance.shape[1:]
        assert torch.equal(layer.reversal_potential == 0.0, layer.layer.valence == 1)
        assert torch.equal(layer.reversal_potential == -90.0, layer.layer.valence == -1)


def test_total_conductance_is_that_of_all_synapses_or_of_what_images_open():
    model, x = create_model("cnn", input_shape=(1, 8, 8), num_classes=3, widths=(4, 6)).double(), images(size=8)
    for layer in to_biophysical(model, total_conductance=80.0).layers:
        total = layer.conductance.flatten(1).sum(1) + layer.resting_conductance
        assert total.mean().item() == pytest.approx(80.0, rel=1e-6)
    network = to_biophysical(model, total_conductance=80.0, images=x)
    p = x
    for layer in network.layers:
        E, I = layer.layer.excitation_inhibition(p)
        assert (E + I).mean().item() * layer.nanosiemens == pytest.approx(80.0, rel=1e-6)
        p = layer.layer(p)


@pytest.mark.parametrize(
    "model",
    [
        fcn(),
        create_model("cnn", input_shape=(1, 8, 8), num_classes=3, widths=(4, 6)),
        create_model("resnet18", input_shape=(1, 8, 8), num_classes=3, widths=(4, 4, 4, 4), blocks=1),
        nn.Sequential(nn.Flatten(), CWALinear(9, 4, activation="relu"), CWALinear(4, 4), nn.ReLU(), nn.Linear(4, 2)),
        nn.Sequential(CWAConv2d(2, 4, 3), nn.Flatten()),
        CWALinear(4, 3),
    ],
    ids=["fcn", "cnn", "resnet18", "sequential", "no readout", "one layer"],
)
def test_every_conductance_layer_is_there_under_its_own_name(model):
    names = [name for name, part in model.named_modules() if isinstance(part, (CWALinear, CWAConv2d))]
    network = to_biophysical(model)
    assert [layer.name for layer in network.layers] == names
    assert network.model is model


def silent_unit():
    layer = CWALinear(3, 2, resting_conductance=torch.tensor([1.0, 0.0]), nonnegative="clamped")
    layer.set_conductance(torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]))
    return nn.Sequential(layer)


def infinite():
    layer = CWALinear(3, 2, nonnegative="clamped")
    with torch.no_grad():
        layer.g[1, 2] = float("inf")
    return nn.Sequential(nn.Flatten(), layer)


def twice():
    layer = CWALinear(4, 4)
    return nn.Sequential(layer, layer)


@pytest.mark.parametrize(
    ("model", "complaint"),
    [
        (create_model("fcn", "affine", (1, 3, 3), 4, widths=(5, 5)), r"layer hidden\.0\.0 is Linear, which is no"),
        (create_model("cnn", "affine", (1, 8, 8), 4, widths=(5,)), r"layer hidden\.0\.0 is Conv2d, which is no"),
        (create_model("fcn", "cwa_bn", (1, 3, 3), 4, widths=(5,)), r"layer hidden\.0\.1 is BatchNorm1d, which is no"),
        (nn.Sequential(AbsNormLinear(3, 2)), r"layer 0 is AbsNormLinear, .*must be conductance layers \(CWALinear"),
        (nn.Sequential(CWALinear(3, 4), nn.Linear(4, 4), nn.Linear(4, 2)), "layer 1 is Linear.*only a Linear readout"),
        (freeze(nn.Sequential(CWALinear(4, 4))), "layer 0 is FrozenAverage, which is no membrane"),
        (nn.Linear(3, 2), "Linear has no conductance layer"),
        (nn.Sequential(nn.Flatten()), "Sequential has no conductance layer"),
        (infinite(), r"conductance of layer 1\[1, 2\] is inf; a conductance is finite and at least 0"),
        (silent_unit(), r"total conductance of layer 0, unit \[1\] is .*give the unit a resting_conductance above 0"),
        (twice(), "layer 1 is a CWALinear that is used twice"),
        (nn.Sequential(CWALinear(4, 4, average=False)), "Sequential has no conductance layer with an average"),
    ],
)
def test_refuses_what_is_no_membrane_and_names_the_layer(model, complaint):
    with pytest.raises(InputError, match=complaint):
        to_biophysical(model)


@pytest.mark.parametrize("name", ["total_conductance", "capacitance"])
@pytest.mark.parametrize("value", [0.0, -1.0, float("inf")])
def test_refuses_a_size_that_no_membrane_has(name, value):
    with pytest.raises(InputError, match=f"{name} is {value:g} .*above 0"):
        to_biophysical(fcn(), **{name: value})


def test_refuses_volts():
    with pytest.raises(InputError, match="looks like volts"):
        to_biophysical(fcn(), PotentialRange(-0.07, 0.0))


@pytest.mark.parametrize(("x", "complaint"), [
    (images() - 0.5, r"images\[.*\] is -0\..*; a probability lies in \[0, 1\]"),
    (2 * images(), r"images\[.*\] is 1\..*; a probability lies in \[0, 1\]"),
    (images(0), "images is empty"),
])  # fmt: skip
def test_refuses_images_that_are_no_open_probabilities(x, complaint):
    model = fcn().double()
    with pytest.raises(InputError, match=complaint):
        to_biophysical(model, images=x)
    if len(x):
        with pytest.raises(InputError, match=complaint):
            to_biophysical(model).steady_state(x)


def test_a_classifier_of_images_as_they_are_has_membranes():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), CWALinear(16, 6, doubled_input=True), CWALinear(6, 4), nn.Linear(4, 3))
    classifier = ImageClassifier(network, Preprocessing("unit", channels=1))
    images = torch.rand(5, 1, 4, 4)
    potentials = to_biophysical(classifier, images=images).steady_state(images)
    inner = to_biophysical(network, images=images).steady_state(images)
    assert [name.removeprefix("network.") for name in potentials] == list(inner)
    for V, expected in zip(potentials.values(), inner.values(), strict=True):
        torch.testing.assert_close(V, expected)
