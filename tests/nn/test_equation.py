"""The layers against the independent transcription, over shapes, valences, resting terms and types."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import reference
from conductance import functional
from conductance.errors import InputError
from conductance.nn import AbsNormConv2d, AbsNormLinear, CWAConv1d, CWAConv2d, CWAConv3d, CWALinear

TOLERANCE = {torch.float64: 1e-12, torch.float32: 2e-5}
LAYERS = {1: CWAConv1d, 2: CWAConv2d, 3: CWAConv3d}


@st.composite
def valences(draw, channels, groups=1, doubled=False):
    """Any of the three ways to say who excites, that are not one-sided (those warn)."""
    count = 2 * channels if doubled else channels
    kinds = ["few", "many"] if doubled or channels // groups < 2 else ["default", "ratio", "few", "many"]
    kind = draw(st.sampled_from(kinds + ["default"] * doubled))
    if kind == "default":
        return None
    if kind == "ratio":
        return "share"
    values = [-1.0, -0.3, 0.25, 1.0] if kind == "few" else np.linspace(-1, 1, 21).tolist()
    drawn = draw(st.lists(st.sampled_from(values), min_size=count, max_size=count))
    return [*drawn[:-1], -drawn[0]] if abs(drawn[0]) > 0 and count > 1 else [0.5, -0.5, *drawn][:count]


def who_excites(drawn):
    """As arguments: values, or a share that is not one-sided."""
    return {"excitatory_share": 0.55} if drawn == "share" else {"valence": drawn}


def resting(draw, units):
    G_r = draw(st.sampled_from([0.0, 0.05, 1.0, 30.0, "per unit"]))
    e_r = draw(st.sampled_from([-1.0, -0.4, 0.0, 0.7, "per unit"]))
    G_r = torch.linspace(0.1, 2, units, dtype=torch.float64) if G_r == "per unit" else G_r
    e_r = torch.linspace(-0.9, 0.8, units, dtype=torch.float64) if e_r == "per unit" else e_r
    return G_r, e_r


def conductances(generator, shape, dtype):
    """Heavy-tailed, with silent synapses among them."""
    G = torch.exp(1.5 * torch.randn(shape, generator=generator, dtype=torch.float64))
    return (G * (torch.rand(shape, generator=generator) > 0.2)).to(dtype)


def as_numpy(tensor):
    return tensor.detach().double().cpu().numpy()


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_linear_layers_compute_equation_3(data):
    draw = data.draw
    channels, units, doubled = draw(st.integers(2, 12)), draw(st.integers(1, 6)), draw(st.booleans())
    dtype = draw(st.sampled_from([torch.float64, torch.float32]))
    activation = draw(st.sampled_from([None, "relu"]))
    form = draw(st.sampled_from(["rectified", "softplus", "clamped"]))
    G_r, e_r = resting(draw, units)
    layer = CWALinear(
        channels,
        units,
        **who_excites(draw(valences(channels, doubled=doubled))),
        doubled_input=doubled,
        nonnegative=form,
        resting_conductance=G_r,
        resting_potential=e_r,
        activation=activation,
        dtype=dtype,
    )
    generator = torch.Generator(torch.get_default_device()).manual_seed(draw(st.integers(0, 1000)))
    layer.set_conductance(conductances(generator, layer.g.shape, dtype))
    p = torch.rand(4, channels, generator=generator, dtype=torch.float64).to(dtype)
    wanted = reference.cwa_linear(
        *map(as_numpy, (p, layer.conductance, layer.valence, layer.resting_conductance, layer.resting_potential)),
        doubled,
    )
    wanted = np.maximum(wanted, 0) if activation else wanted
    assert layer(p).dtype == dtype
    np.testing.assert_allclose(as_numpy(layer(p)), wanted, atol=TOLERANCE[dtype], rtol=0)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_convolutions_compute_equation_6(data):
    draw = data.draw
    axes, groups, doubled = draw(st.sampled_from([1, 2, 2, 3])), draw(st.sampled_from([1, 1, 2])), draw(st.booleans())
    channels = groups * draw(st.integers(2, 4))
    units = groups * draw(st.integers(1, 3))
    per_axis = [draw(st.tuples(*[st.integers(low, high)] * axes)) for low, high in ((1, 3), (1, 2), (0, 2), (1, 2))]
    kernel, stride, padding, dilation = per_axis
    dtype = draw(st.sampled_from([torch.float64, torch.float32]))
    activation = draw(st.sampled_from([None, "relu"]))
    G_r, e_r = resting(draw, units)
    layer = LAYERS[axes](
        channels,
        units,
        kernel,
        stride,
        padding,
        dilation,
        groups,
        **who_excites(draw(valences(channels, groups, doubled))),
        doubled_input=doubled,
        resting_conductance=G_r,
        resting_potential=e_r,
        activation=activation,
        dtype=dtype,
    )
    generator = torch.Generator(torch.get_default_device()).manual_seed(draw(st.integers(0, 1000)))
    layer.set_conductance(conductances(generator, layer.g.shape, dtype))
    p = torch.rand(2, channels, *[5] * axes, generator=generator, dtype=torch.float64).to(dtype)
    wanted = reference.cwa_conv(
        *map(as_numpy, (p, layer.conductance, layer.valence, layer.resting_conductance, layer.resting_potential)),
        doubled,
        stride,
        padding,
        dilation,
        groups,
    )
    wanted = np.maximum(wanted, 0) if activation else wanted
    np.testing.assert_allclose(as_numpy(layer(p)), wanted, atol=TOLERANCE[dtype], rtol=0)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("e_r", [0.0, -0.4])
def test_absnorm_computes_section_4_4(dtype, e_r):
    layer = AbsNormLinear(9, 5, resting_conductance=0.3, resting_potential=e_r, activation=None, dtype=dtype)
    p = torch.rand(6, 9, dtype=dtype)
    G_r, e = as_numpy(layer.resting_conductance), as_numpy(layer.resting_potential)
    wanted = reference.absnorm_linear(as_numpy(p), as_numpy(layer.weight), G_r, e)
    np.testing.assert_allclose(as_numpy(layer(p)), wanted, atol=TOLERANCE[dtype], rtol=0)


@pytest.mark.parametrize("groups", [1, 2])
def test_absnorm_convolution_is_signed_input_over_total_input(groups):
    layer = AbsNormConv2d(
        4,
        6,
        3,
        2,
        1,
        1,
        groups,
        resting_conductance=0.5,
        resting_potential=-0.2,
        activation=None,
        dtype=torch.float64,
    )
    p = torch.rand(3, 4, 7, 7, dtype=torch.float64)
    conv = lambda W: torch.nn.functional.conv2d(p, W, stride=2, padding=1, groups=groups)  # noqa: E731
    wanted = (conv(layer.weight) - 0.5 * 0.2) / (conv(layer.weight.abs()) + 0.5)
    torch.testing.assert_close(layer(p), wanted)


def test_functions_and_layers_agree():
    linear = CWALinear(6, 4, excitatory_share=0.7, resting_potential=-0.4, resting_conductance=2.0, activation="relu")
    p = torch.rand(5, 6)
    options = {"resting_conductance": 2.0, "resting_potential": -0.4, "activation": "relu", "excitatory_share": 0.7}
    torch.testing.assert_close(functional.cwa(p, linear.conductance, **options), linear(p))
    conv = CWAConv2d(3, 4, 3, 2, 1, doubled_input=True, resting_conductance=1.0, activation=None)
    images = torch.rand(2, 3, 8, 8)
    by_hand = functional.cwa(images, conv.conductance, doubled_input=True, stride=2, padding=1)
    torch.testing.assert_close(by_hand, conv(images))


def test_string_padding_and_single_images_work_as_in_torch():
    layer = CWAConv2d(4, 6, 3, padding="same")
    image = torch.rand(4, 9, 9)
    assert layer(image).shape == (6, 9, 9)
    torch.testing.assert_close(layer(image), layer(image[None])[0])


def test_a_doubled_input_equals_a_single_one_written_twice():
    doubled = CWAConv2d(3, 8, 5, 2, 2, doubled_input=True)
    plain = CWAConv2d(6, 8, 5, 2, 2)
    plain.set_conductance(doubled.conductance)
    images = torch.rand(2, 3, 11, 11)
    torch.testing.assert_close(doubled(images), plain(torch.cat([images, images], 1)))


def test_both_conductances_of_every_unit_are_needed():
    with pytest.raises(InputError, match=r"shapes \(2, 4\) and \(2, 2\)"):
        functional.membrane_potential(torch.ones(2, 4), torch.ones(2, 2))
