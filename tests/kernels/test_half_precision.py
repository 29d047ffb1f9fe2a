"""Layers in half precision are as exact as its numbers, whatever their conductances are and whatever is open."""

import copy
import math

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from conductance import kernels
from conductance.kernels import splitting
from conductance.nn import CWAConv1d, CWAConv2d, CWAConv3d, CWALinear

# Open probabilities, conductances (less what is common to their unit) and sums are rounded, each by half of eps at
# most. So E' and I' are wrong by three halves at most, z by no more than they are, and z is rounded too.
BOUND = 4 * torch.finfo(torch.bfloat16).eps / 2

CONVOLUTIONS = {1: CWAConv1d, 2: CWAConv2d, 3: CWAConv3d}


@st.composite
def layers(draw, most=splitting.MANY):
    """A layer of so many synapses of each kind at most, and what it reads."""
    generator = torch.Generator(torch.get_default_device()).manual_seed(draw(st.integers(0, 2**16)))
    axes = draw(st.sampled_from([0, 0, 1, 2, 2, 3]))
    kernel = draw(st.tuples(*[st.integers(1, 3)] * axes))
    groups = draw(st.sampled_from([1, 1, 2, 3])) if axes else 1
    doubled = draw(st.sampled_from([False, False, True]))
    of_kind = draw(st.integers(1, most // math.prod(kernel)))
    channels = groups * (of_kind if doubled else of_kind + draw(st.sampled_from([of_kind, 1, of_kind + 1])))
    options = {
        "doubled_input": doubled,
        "excitatory_share": None if doubled else of_kind * groups / channels,
        "resting_conductance": draw(st.sampled_from([0.0, None, 1.0])),
        "resting_potential": draw(st.sampled_from([0.0, -0.3])),
        "nonnegative": draw(st.sampled_from(["clamped", "clamped", "rectified"])),
        "activation": None,
    }
    units = groups * draw(st.integers(1, 5))
    if axes:
        convolution = [draw(st.tuples(*[st.integers(low, 2)] * axes)) for low in (1, 0, 1)]
        layer = CONVOLUTIONS[axes](channels, units, kernel, *convolution, groups, **options)
    else:
        layer = CWALinear(channels, units, **options)
    tail, closed = draw(st.sampled_from([0.0, 0.01, 0.3, 1.5, 4.0])), draw(st.sampled_from([0.0, 0.0, 0.5, 0.9]))
    G = torch.exp(tail * torch.randn(layer.g.shape, generator=generator))
    layer.set_conductance(G * (torch.rand(G.shape, generator=generator) >= closed) * 10.0 ** draw(st.integers(-3, 3)))
    shape = (3, channels, *[5] * axes)
    p, is_open = torch.rand(shape, generator=generator), draw(st.sampled_from([0.02, 0.2, 1.0]))
    return layer, p ** draw(st.sampled_from([0, 1, 3])) * (torch.rand(shape, generator=generator) < is_open)


def largest_error(layer, p):
    wanted = copy.deepcopy(layer).double()(p.double())
    with torch.autocast(p.device.type, torch.bfloat16):
        found = layer(p)
    assert found.dtype == torch.bfloat16
    return float((found.double() - wanted).detach().abs().max())


@pytest.mark.usefixtures("any_average")
@settings(deadline=None, max_examples=100)
@given(layers(), st.sampled_from(["formula", "blocked", "native"]))
def test_potentials_in_bfloat16_are_those_of_float64_to_within_its_resolution(drawn, kernel):
    kernels.use_average(kernel)
    assert largest_error(*drawn) <= BOUND


@settings(deadline=None, max_examples=30)
@given(layers(most=10 * splitting.MANY))
def test_so_are_those_of_larger_layers_with_a_leak_unless_little_else_is_open(drawn):
    layer, p = drawn
    assume(layer.initial_resting[0] != 0)
    assert largest_error(layer, p) <= 2 * BOUND
