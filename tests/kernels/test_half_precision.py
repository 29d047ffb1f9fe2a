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
BOUND = {dtype: 4 * torch.finfo(dtype).eps / 2 for dtype in (torch.bfloat16, torch.float16)}

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


def errors(layer, p, dtype):
    double = copy.deepcopy(layer).double()
    with torch.autocast(p.device.type, dtype):
        found = layer(p)
    assert found.dtype == dtype
    return (found.double() - double(p.double())).detach().abs(), double


def is_held(dtype, layer, p):
    """Whether what opens a synapse is a normal number of the type: float16 has few powers of two."""
    all_of_them = layer.conductance.detach()
    G, opened = (each[each > 0] for each in (all_of_them, p))
    if dtype == torch.bfloat16 or not (len(G) and len(opened)):
        return True
    scaled = G.min() / max(1.0, float(all_of_them.flatten(1).sum(1).max()) / 2**13)
    return min(float(scaled * opened.min()), float(opened.min())) > torch.finfo(dtype).tiny


@pytest.mark.usefixtures("any_average")
@settings(deadline=None, max_examples=100)
@given(layers(), st.sampled_from(sorted(BOUND, key=str)), st.sampled_from(["formula", "blocked", "native"]))
def test_potentials_are_those_of_float64_to_within_the_resolution(drawn, dtype, kernel):
    kernels.use_average(kernel)
    assume(is_held(dtype, *drawn))
    assert float(errors(*drawn, dtype)[0].max()) <= BOUND[dtype]


def what_is_common(layer):
    """To a unit's conductances of each kind, at each of its synapses."""
    G = layer.conductance.detach()
    excitatory = G.shape[1] // 2 if layer.presynaptic.doubled_input else layer.presynaptic.class_sizes[0]
    kinds = G.split([excitatory, G.shape[1] - excitatory], 1)
    common = [splitting.common_to_rows(kind.flatten(1)).view(-1, *[1] * (G.ndim - 1)).expand_as(kind) for kind in kinds]
    return torch.cat(common, 1)


@settings(deadline=None, max_examples=40)
@given(layers(most=10 * splitting.MANY))
def test_potentials_of_larger_layers_are_as_exact_as_what_is_split_off(drawn):
    """Rounding changes E' and I' by shares of what is common, times the sum of p, too."""
    layer, p = drawn
    found, double = errors(layer, p, torch.bfloat16)
    total = sum(double.excitation_inhibition(p.double())).detach()
    double.set_conductance(what_is_common(layer))
    split_off = sum(double.excitation_inhibition(p.double())).detach()
    assert bool((found <= BOUND[torch.bfloat16] * (1 + 2 * split_off / total)).all())
