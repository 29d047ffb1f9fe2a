"""The pooled interneuron of a layer: its formula, its gradients, what stays an average, and who refuses it."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import reference
from conductance import functional, init, kernels
from conductance.analysis import check, observe, summary, validate
from conductance.errors import InputError
from conductance.kernels import averaging
from conductance.models import create_model
from conductance.nn import AbsNormConv2d, AbsNormLinear, CWAConv1d, CWAConv2d, CWAConv3d, CWALinear, LateralLinear

LAYERS = {1: CWALinear, 2: CWAConv1d, 3: CWAConv2d, 4: CWAConv3d}


def layer_and_input(draw, activation=None, **options):
    """A layer of any kind with a pooled interneuron, in float64, and a batch for it."""
    axes = draw(st.sampled_from([0, 1, 2, 2, 3]))
    groups = draw(st.sampled_from([1, 2])) if axes else 1
    channels, units = 4, groups * draw(st.integers(2, 4))
    shape = (3, channels, *(4,) * axes)
    options = {"pooled_interneuron": True, "activation": activation, "dtype": torch.float64, **options}
    if axes:
        options |= {"groups": groups, "stride": draw(st.integers(1, 2))}
    layer = LAYERS[axes + 1](channels, units, *([2] if axes else []), **options)
    torch.manual_seed(draw(st.integers(0, 1000)))
    layer.set_conductance(torch.exp(1.5 * torch.randn_like(layer.g)))
    return layer, torch.rand(shape, dtype=torch.float64)


def without(layer, p, extra=None):
    """z before the interneuron acts."""
    both = kernels.dense(layer.open_conductances(p, extra), layer.channel_axis)
    return kernels.average(both, layer.channel_axis, False)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_layers_compute_the_formula(data):
    layer, p = layer_and_input(data.draw)
    wanted = reference.pooled(without(layer, p).detach().cpu().numpy())
    np.testing.assert_allclose(layer(p).detach().cpu().numpy(), wanted, atol=1e-14)
    layer.activation = "relu"
    np.testing.assert_allclose(layer(p).detach().cpu().numpy(), np.maximum(wanted, 0), atol=1e-14)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_units_stay_averages_whose_mean_is_zero(data):
    layer, p = layer_and_input(data.draw)
    z = layer(p)
    assert bool((z.abs() <= 1).all())
    torch.testing.assert_close(z.mean(layer.channel_axis), torch.zeros_like(z.mean(layer.channel_axis)))
    E, I = layer.excitation_inhibition(p)  # the interneuron's among them
    assert bool((E > 0).all() and (I > 0).all())
    torch.testing.assert_close(functional.membrane_potential(E, I), z)


@settings(max_examples=25, deadline=None)
@given(data=st.data(), activation=st.sampled_from([None, "relu", "full_range"]), detached=st.booleans())
def test_gradients_are_those_of_the_plain_formula(data, activation, detached):
    layer, p = layer_and_input(data.draw, activation, detached_denominator=detached, learn_resting=True)
    p.requires_grad_()
    extra = (0.1 + torch.rand(torch.cat([layer(p)] * 2, layer.channel_axis).shape)).double().requires_grad_()
    slope = torch.rand_like(layer(p))
    wanted_of = [p, extra, *layer.parameters()]
    found = torch.autograd.grad(layer(p, extra), wanted_of, slope)
    both = kernels.dense(layer.open_conductances(p, extra), layer.channel_axis)
    E, I = both.chunk(2, layer.channel_axis)
    z = (E - I) / ((E + I).detach() if detached else E + I)
    m = z.mean(layer.channel_axis, keepdim=True)
    z = (z - m) / (1 + m.abs())
    plain = {None: z, "relu": z.relu(), "full_range": (1 + z) / 2}[activation]
    torch.testing.assert_close(layer(p, extra), plain)
    for each, expected in zip(found, torch.autograd.grad(plain, wanted_of, slope), strict=True):
        torch.testing.assert_close(each, expected)


@pytest.mark.parametrize("rectify", [False, True])
def test_gradients_are_numerically_right_and_can_be_differentiated_again(rectify):
    z = torch.rand(3, 4, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda z: kernels.pool(2 * z - 1, -3, rectify), z)
    assert torch.autograd.gradgradcheck(lambda z: kernels.pool(2 * z - 1, -3, rectify), z)


@pytest.mark.parametrize("rectify", [False, True])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("shape", "axis"), [((9, 5, 7, 6), -3), ((700, 30), -1), ((30,), -1), ((5, 7, 6), -3),
                                             ((4, 3, 6), -1), ((0, 5, 3, 3), -3)])  # fmt: skip
def test_blocks_give_the_numbers_of_the_formula(shape, axis, layout, rectify, monkeypatch):
    monkeypatch.setattr(averaging, "BLOCK_BYTES", 1000)  # several blocks, the last one shorter
    z = 2 * torch.rand(shape) - 1
    z = (z.to(memory_format=layout) if z.ndim == 4 else z).requires_grad_()
    slope = torch.randn(shape)
    result, wanted = kernels.pool(z, axis, rectify), kernels.pooling.formula(z, axis, rectify, z.dtype)
    torch.testing.assert_close(result, wanted)
    torch.testing.assert_close(torch.autograd.grad(result, z, slope), torch.autograd.grad(wanted, z, slope))
    assert torch.equal(kernels.pool(z.detach(), axis, rectify), result)
    if len(shape) == 4 and len(z):
        assert result.is_contiguous(memory_format=layout)


def test_functions_and_layers_agree():
    layer = CWAConv2d(3, 4, 3, 2, 1, doubled_input=True, resting_conductance=1.0, pooled_interneuron=True)
    images = torch.rand(2, 3, 8, 8)
    options = {"doubled_input": True, "stride": 2, "padding": 1, "activation": "relu"}
    torch.testing.assert_close(
        functional.cwa(images, layer.conductance, pooled_interneuron=True, **options), layer(images)
    )
    z = functional.cwa(images, layer.conductance, **{**options, "activation": None})
    torch.testing.assert_close(functional.pooled_interneuron(z, -3, "relu"), layer(images))


def test_it_acts_on_all_that_joins_the_average():
    shortcut = CWALinear(6, 5, average=False)
    layer, p = CWALinear(6, 5, pooled_interneuron=True, activation=None), torch.rand(7, 6)
    z = without(layer, p, shortcut(p))
    torch.testing.assert_close(layer(p, shortcut(p)), functional.pooled_interneuron(z))


@pytest.mark.parametrize("kind", [AbsNormLinear, AbsNormConv2d])
def test_signed_layers_have_one_too(kind):
    layer = kind(6, 5, *([3] if kind is AbsNormConv2d else []), activation=None, pooled_interneuron=True)
    p = torch.rand(2, 6, *([4, 4] if kind is AbsNormConv2d else []))
    torch.testing.assert_close(layer(p), functional.pooled_interneuron(without(layer, p), layer.channel_axis))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_rounds_the_result_alone(dtype):
    """Units that are nearly alike: rounded before the mean is taken away, little of their differences would be left."""
    layer = CWALinear(400, 64, activation=None, resting_conductance=3000.0, resting_potential=0.6)
    p = torch.rand(32, 400)
    z = layer(p).detach()
    layer.pooled_interneuron = True
    exact = layer(p).detach()
    assert float(z.min()) > 0.5
    assert float(exact.abs().max()) < 0.05
    with torch.autocast("cpu", dtype):
        rounded = layer(p).detach()
    assert rounded.dtype == dtype
    assert relative_error(rounded.float(), exact) < 0.01
    trap = relative_error(functional.pooled_interneuron(z.to(dtype).float()), exact)
    assert trap > 4 * relative_error(rounded.float(), exact)


def relative_error(values, exact):
    return float((values - exact).norm() / exact.norm())


def test_balance_is_that_of_the_layers_own_synapses():
    model = create_model("cnn", "cwa", (3, 16, 16), 10, widths=(8, 12), layer_options={"pooled_interneuron": True})
    images = torch.rand(200, 3, 16, 16)
    init.initialize(model, images)
    seen = {}
    for layer in init.conductance_layers(model):
        layer.register_forward_hook(lambda layer, p, _: seen.update({layer: p[0].detach()}))
    model(images)
    for layer, p in seen.items():
        no_leak = torch.zeros_like(layer.leak())
        E, I = functional.excitation_inhibition(p, layer.conductance, layer.presynaptic, no_leak, layer.synaptic_sum)
        torch.testing.assert_close(E.mean((0, 2, 3)), I.mean((0, 2, 3)), rtol=1e-3, atol=1e-5)


def test_what_looks_inside_sees_the_potentials_that_it_leaves():
    model = create_model("cnn", "cwa", (1, 8, 8), 3, widths=(4, 6), layer_options={"pooled_interneuron": True})
    images = torch.rand(5, 1, 8, 8)
    with validate(model):
        model(images)
    first = observe(model, images)[0]
    torch.testing.assert_close(first.p, model.hidden[0](images))
    torch.testing.assert_close(first.z.mean(1), torch.zeros_like(first.z.mean(1)), atol=1e-5, rtol=0)
    plain = create_model("cnn", "cwa", (1, 8, 8), 3, widths=(4, 6))
    assert summary(model, images).to_dict() == summary(plain, images).to_dict()
    report = check(model, images)
    torch.testing.assert_close(report.layers[0].output[1], float(first.p.max()))


def test_a_state_dict_says_so_and_older_ones_load():
    pooled, plain = CWALinear(4, 6, pooled_interneuron=True), CWALinear(4, 6)
    assert "pooled_interneuron=True" in repr(pooled)
    assert "pooled_interneuron" not in repr(plain)
    again = CWALinear(4, 6, pooled_interneuron=True)
    again.load_state_dict(pooled.state_dict())
    p = torch.rand(3, 4)
    torch.testing.assert_close(again(p), pooled(p))
    for one, other in [(pooled, plain), (plain, pooled)]:
        with pytest.raises(RuntimeError, match="whether it has a pooled interneuron differs"):
            one.load_state_dict(other.state_dict())
    assert b"pooled" not in bytes(plain.state_dict()["_extra_state"].tolist())  # earlier versions can read it


def test_those_that_cannot_have_one_say_so():
    with pytest.raises(InputError, match="average=False"):
        CWALinear(4, 6, average=False, pooled_interneuron=True)
    with pytest.raises(InputError, match="a single unit is its own mean"):
        CWALinear(4, 1, pooled_interneuron=True)
    with pytest.raises(TypeError, match="pooled_interneuron"):
        LateralLinear(4, 6, pooled_interneuron=True)


@pytest.mark.parametrize("shortcut", ["mean", "conductance"])
@pytest.mark.parametrize("family", ["cwa", "absnorm"])
def test_residual_networks_have_one_in_each_layer_that_has_units(family, shortcut):
    model = create_model(
        "resnet18", family, (3, 8, 8), 10, widths=(4, 6), blocks=1, shortcut=shortcut,
        layer_options={"pooled_interneuron": True},
    )  # fmt: skip
    layers = [layer for layer in model.modules() if hasattr(layer, "pooled_interneuron")]
    assert [layer.pooled_interneuron for layer in layers] == [layer.average for layer in layers]
    assert any(layer.pooled_interneuron for layer in layers)
    model(torch.rand(2, 3, 8, 8)).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_it_takes_no_more_than_a_mean():
    """No parameter, no buffer, and each sample by itself."""
    layer = nn.Sequential(CWALinear(6, 4, pooled_interneuron=True))
    p = torch.rand(5, 6)
    assert [name for name, _ in layer.named_parameters()] == ["0.g"]
    torch.testing.assert_close(torch.stack([layer(row) for row in p]), layer(p))
