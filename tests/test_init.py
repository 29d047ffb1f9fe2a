"""Which conductances a network starts from."""

import math

import pytest
import torch

from conductance import init
from conductance.analysis import observe
from conductance.data import load_dataset
from conductance.errors import InputError
from conductance.models import create_model
from conductance.nn import CWAConv2d, CWALinear

FORMS = ["rectified", "softplus", "clamped"]


@pytest.mark.parametrize("form", FORMS)
def test_lognormal_has_the_mean_and_the_spread_asked_for(form):
    layer = init.lognormal_(CWALinear(600, 500, nonnegative=form), sigma=0.8, mean=2.0)
    G = layer.conductance.detach()
    assert abs(float(G.mean()) - 2.0) < 0.02
    assert abs(float(G.log().std()) - 0.8) < 0.01


@pytest.mark.parametrize("form", FORMS)
def test_exponential_has_equal_mean_and_standard_deviation(form):
    layer = init.exponential_(CWALinear(600, 500, nonnegative=form), mean=0.5)
    G = layer.conductance.detach()
    assert abs(float(G.mean()) - 0.5) < 0.01
    assert abs(float(G.std()) - 0.5) < 0.01


@pytest.mark.parametrize("form", FORMS)
def test_glorot_lies_tightly_around_one(form):
    layer = init.glorot_(init.lognormal_(CWAConv2d(16, 32, 3, nonnegative=form)))
    bound = math.sqrt(6 / (9 * (16 + 32)))
    G = layer.conductance.detach()
    assert abs(float(G.mean()) - 1) < 0.01
    assert 0.95 * bound < float((G - 1).abs().max()) <= bound + 1e-6


@pytest.mark.parametrize("units", [8, 7])
def test_twins_share_their_conductances(units):
    layer = init.twin_(init.lognormal_(CWALinear(10, units)))
    half = units // 2
    assert torch.equal(layer.conductance[-half:], layer.conductance[:half])
    assert not torch.equal(layer.conductance[0], layer.conductance[1])


def test_twins_give_the_next_layer_equal_excitation_and_inhibition_from_equal_conductances():
    model = create_model("fcn", "cwa", (1, 6, 6), 10, widths=(20, 10))
    init.twin_(init.lognormal_(model))
    model.hidden[1].set_conductance(torch.tensor(1.0))
    assert observe(model, torch.rand(4, 1, 6, 6))[1].z.abs().max() < 1e-6


@pytest.mark.parametrize("architecture", ["fcn", "cnn", "resnet18"])
@pytest.mark.parametrize("share", [0.5, 0.8])
def test_balance_makes_every_units_mean_excitation_equal_its_mean_inhibition(architecture, share):
    widths = (8, 10)
    model = create_model(architecture, "cwa", (3, 8, 8), 10, widths=widths, layer_options={"excitatory_share": share})
    batch = torch.rand(20, 3, 8, 8)
    init.balance_(init.lognormal_(model), batch)
    for seen in observe(model, batch):
        mean_E, mean_I = (x.transpose(0, 1).flatten(1).mean(1) for x in (seen.excitation, seen.inhibition))
        torch.testing.assert_close(mean_E, mean_I, rtol=1e-3, atol=1e-4)
        assert 0.1 < float((seen.z > 0).float().mean()) < 0.9


def test_balance_scales_inhibition_alone_and_each_unit_by_one_factor():
    layer = init.lognormal_(CWALinear(10, 6))
    before = layer.conductance.detach().clone()
    init.balance_(layer, torch.rand(50, 10))
    ratio = layer.conductance / before
    torch.testing.assert_close(ratio[:, :5], torch.ones(6, 5))
    torch.testing.assert_close(ratio[:, 5:], ratio[:, 5:6].expand(6, 5))


def test_balance_with_graded_valences_centres_what_drives_z():
    layer = init.lognormal_(CWALinear(6, 4, valence=[1, 0.5, -0.2, -1, 0.3, -0.6], resting_conductance=0.0))
    p = torch.rand(100, 6)
    init.balance_(layer, p)
    E, I = layer.excitation_inhibition(p)
    assert float((E - I).detach().mean(0).abs().max()) < 1e-4


def test_a_unit_without_inhibition_is_left_as_it_is():
    layer = init.lognormal_(CWALinear(4, 3))
    before = layer.conductance.detach().clone()
    init.balance_(layer, torch.tensor([[1.0, 0.5, 0.0, 0.0]]))
    torch.testing.assert_close(layer.conductance, before)


def test_ranges_are_checked():
    with pytest.raises(InputError, match="sigma"):
        init.lognormal_(CWALinear(2, 2), sigma=-1)
    with pytest.raises(InputError, match="positive"):
        init.exponential_(CWALinear(2, 2), mean=0)


@pytest.mark.parametrize("learn", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_a_scaled_leak_is_its_share_of_what_the_unit_sees_and_keeps_its_potential(form, learn):
    model = create_model(
        "cnn",
        "cwa",
        (3, 8, 8),
        4,
        widths=(8, 12),
        layer_options={"nonnegative": form, "learn_resting": learn, "resting_potential": -0.2},
    )
    batch = torch.rand(30, 3, 8, 8)
    init.scale_leak_(init.lognormal_(model), batch, 0.25)
    for seen in observe(model, batch):
        leak = seen.layer.leak.conductance
        total = (seen.excitation + seen.inhibition).mean((0, 2, 3))
        torch.testing.assert_close(leak, 0.25 * (total - leak), rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(seen.layer.leak.potential, torch.full_like(leak, -0.2), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("family", ["cwa", "cwa_bn"])
@pytest.mark.parametrize(("architecture", "widths"), [("fcn", (40, 30)), ("cnn", (16, 32)), ("resnet18", (8, 8, 8, 8))])
def test_the_recipe_leaves_between_thirty_and_seventy_percent_of_units_active(architecture, widths, family):
    torch.manual_seed(0)
    digits = load_dataset("digits").train.pixels[:300].float() / 255
    model = init.initialize(create_model(architecture, family, digits.shape[1:], 10, widths=widths), digits, leak=0.05)
    for seen in observe(model, digits):
        assert 0.3 < float((seen.z > 0).float().mean()) < 0.7


def test_the_recipe_serves_networks_of_any_build_and_those_without_conductances():
    model = torch.nn.Sequential(CWALinear(6, 8, activation="relu"), CWALinear(8, 8), torch.nn.Linear(8, 2))
    readout = model[2].weight.clone()
    assert init.initialize(model, torch.rand(20, 6)) is model
    assert torch.equal(model[2].weight, readout)
    affine = torch.nn.Linear(4, 2)
    before = affine.weight.clone()
    assert torch.equal(init.initialize(affine, torch.rand(3, 4), leak=0.1).weight, before)


def test_a_unit_that_receives_nothing_keeps_its_leak():
    layer = CWALinear(4, 2, resting_potential=-0.2, activation=None)
    init.scale_leak_(layer, torch.zeros(3, 4), 0.1)
    torch.testing.assert_close(layer(torch.zeros(1, 4)), torch.full((1, 2), -0.2))


def test_a_leak_needs_a_positive_share():
    with pytest.raises(InputError, match="share=0: the leak's share"):
        init.initialize(CWALinear(4, 2), torch.rand(3, 4), leak=0)


@pytest.mark.parametrize("bad", [torch.full((3, 4), 2.0), torch.full((3, 4), float("nan")), torch.rand(3, 5)])
def test_a_bad_batch_is_refused_while_nothing_has_changed(bad):
    layer = CWALinear(4, 2)
    before = layer.g.detach().clone()
    with pytest.raises(InputError):
        init.initialize(layer, bad)
    assert torch.equal(layer.g, before)
