"""Checks of every layer while a network runs."""

import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import conductance
from conductance import functional, init
from conductance.errors import InputError, UnknownNameError
from conductance.models import FAMILIES, create_model
from conductance.nn import AbsNormLinear, CWALinear

IMAGES = torch.rand(32, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def fcn(**options):
    torch.manual_seed(0)
    return init.initialize(create_model("fcn", "cwa", (1, 8, 8), 3, widths=(12, 8), **options), IMAGES)


def checked(model, *inputs, of="the model", **options):
    """What is found while a model runs on each of the inputs."""
    with conductance.validate(model if of == "the model" else of, **options) as found:
        for each in inputs:
            model(each)
    return found


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("architecture", ["fcn", "cnn", "resnet18"])
def test_a_balanced_network_passes(architecture, family):
    model = create_model(architecture, family, (1, 8, 8), 3, widths=(12, 8)).eval()
    init.initialize(model, IMAGES)
    limit = float("inf") if family == "affine_bn" else 1.0
    assert checked(model, IMAGES, largest_input=limit).problems == []
    assert checked(model, IMAGES, of=None, largest_input=limit).problems == []


@settings(max_examples=40, deadline=None)
@given(
    st.floats(-1e3, 1e3, width=32) | st.sampled_from([float("nan"), float("inf"), -float("inf")]),
    st.integers(0, 63),
    st.booleans(),
)
def test_every_value_outside_the_range_is_found_and_no_other(value, where, everywhere):
    model, images = fcn(), IMAGES.clone()
    images[3].view(-1)[where] = value
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = checked(model, images, of=None if everywhere else model, mode="warn")
    assert any("hidden.0 (CWALinear) was given" in problem for problem in found.problems) == (not 0 <= value <= 1.001)


def test_the_first_problem_is_an_error_with_layer_and_remedy():
    with pytest.raises(
        InputError, match=r"layer hidden\.0 \(CWALinear\) was given values from .*; scale data \(images"
    ):
        checked(fcn(), 255 * IMAGES)
    assert checked(fcn(), 255 * IMAGES, of=fcn()).problems == []  # another network is none of its business


def test_each_problem_is_reported_once_and_nothing_stays_on():
    model = fcn()
    with pytest.warns(UserWarning, match="layer") as warned:
        found = checked(model, -IMAGES, -IMAGES, mode="warn")
    assert [str(each.message) for each in warned] == found.problems
    assert len(set(found.problems)) == len(found.problems)
    with pytest.raises(InputError):
        checked(model, -IMAGES, of=None)
    assert functional.checks == []
    assert not any(part._forward_hooks for part in model.modules())
    assert not torch.nn.modules.module._has_any_global_hook()


def test_a_layer_inside_is_named_where_nan_arises():
    class Logs(nn.Module):
        def forward(self, x):
            return (x - 1).log()

    model = nn.Sequential(CWALinear(64, 8, activation="relu"), Logs(), CWALinear(8, 4, activation="relu"))
    with pytest.raises(InputError, match=r"layer 2 \(CWALinear\) was given NaN, .*; look for the NaN"):
        checked(model, IMAGES.flatten(1))


def test_conductances_are_checked():
    layer, signed = CWALinear(4, 3, activation="relu"), AbsNormLinear(4, 3)
    with torch.no_grad():
        layer.g[1, 2] = float("nan")
        signed.weight[0, 0] = float("inf")
    with pytest.raises(InputError, match=r"the CWALinear has conductance of NaN, .*; take smaller steps"):
        checked(layer, torch.rand(5, 4))
    with pytest.raises(InputError, match="the AbsNormLinear has weights of"):
        checked(signed, torch.rand(5, 4))


def test_what_joins_an_average_is_checked():
    layer = CWALinear(4, 3, activation="relu")
    joining = torch.tensor([-1.0, 2, 0, 0, 0, 0]).expand(5, 6)
    with pytest.raises(InputError, match=r"the CWALinear has extra_conductances of values from -1 to 2, .*; clamp"):
        checked(lambda p: layer(p, joining), torch.rand(5, 4), of=layer)


def test_the_equation_refuses_negative_conductances_within_the_context_alone():
    p, G = torch.rand(5, 4), torch.tensor([[1.0, 2.0, -0.5, 1.0]])
    functional.cwa(p, G)
    with pytest.raises(InputError, match=r"functional.cwa has conductance of values from -0.5 to 2"):
        checked(lambda p: functional.cwa(p, G), p, of=None)
    assert checked(lambda p: functional.cwa(p, G.abs()), p, of=None).problems == []


def test_dead_and_saturated_units_are_those_of_all_samples_so_far():
    layer = CWALinear(2, 3, activation="relu", resting_conductance=1e-4, nonnegative="softplus")
    layer.set_conductance(torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 2.0]]))  # excitation, inhibition
    found = checked(layer, torch.tensor([[0.9, 0.1]]), torch.tensor([[0.1, 0.9]]))
    assert found.dead[""] == [1]
    assert found.saturated[""] == [0]
    with pytest.raises(InputError, match="the CWALinear has 1 of 3 units dead, open for no sample; balance"):
        checked(layer, torch.tensor([[0.9, 0.1]]), most_dead=0.3)
    with pytest.raises(InputError, match="the CWALinear has 1 of 3 units saturated, for all samples; balance"):
        checked(layer, torch.tensor([[0.1, 0.9]]), most_saturated=0.3)


def test_active_dropout_may_scale_inputs_up():
    model = fcn(dropout=0.5).train()
    assert checked(model, *[IMAGES] * 5).problems == []


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_compiled_model_is_checked_too():
    model = fcn()
    compiled = torch.compile(model, backend="eager")
    compiled(IMAGES)
    for watched in (model, compiled):
        with pytest.raises(InputError, match=r"layer hidden\.0 \(CWALinear\) was given"):
            checked(compiled, -IMAGES, of=watched)


def test_gradients_are_as_without():
    model = fcn()
    checked(lambda images: model(images).sum().backward(), IMAGES, of=model)
    gradients = [parameter.grad for parameter in model.parameters()]
    model.zero_grad()
    model(IMAGES).sum().backward()
    assert all(map(torch.equal, gradients, (parameter.grad for parameter in model.parameters())))


def test_another_mode_is_refused():
    with pytest.raises(UnknownNameError, match=r"mode of validation 'warm'.*did you mean 'warn'"):
        checked(fcn(), IMAGES, mode="warm")
