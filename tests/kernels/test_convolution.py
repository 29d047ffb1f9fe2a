"""Convolutions that average in one pass give the numbers of the plain formula, whatever their shape."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conductance import kernels
from conductance.kernels import convolution, native
from conductance.kernels.convolution import PendingConvolution
from conductance.nn import AbsNormConv2d, CWAConv2d
from conductance.transform import freeze

pytestmark = [
    pytest.mark.usefixtures("any_average"),
    pytest.mark.skipif(
        torch.backends.cpu.get_cpu_capability() != "AVX512" or native.library("convolution") is None,
        reason="needs AVX512 and a C++ compiler",
    ),
]


@pytest.fixture(autouse=True)
def _compiled():
    kernels.use_average("native")  # of tensors of any size


@st.composite
def convolutions(draw):
    """A layer in evaluation and what it reads, in float64."""
    pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))
    size, stride, dilation = draw(pairs), draw(pairs), draw(pairs)
    padding = draw(st.tuples(st.integers(0, 3), st.integers(0, 3)))
    channels, units = draw(st.sampled_from([2, 3, 8, 20, 34])), draw(st.sampled_from([2, 7, 32, 50, 64]))
    shapes = size, stride, padding, dilation
    torch.manual_seed(draw(st.integers(0, 2**16)))
    kind = draw(st.sampled_from(["half", "share", "doubled", "mixed", "absnorm"]))
    if kind == "absnorm":
        layer = AbsNormConv2d(channels, units, *shapes, activation=None)
    else:
        options = {
            "half": {},
            "share": {"excitatory_share": 0.75},
            "doubled": {"doubled_input": True},
            "mixed": {"valence": torch.tensor([1.0, -1.0]).repeat(channels)[torch.randperm(channels)]},
        }
        layer = CWAConv2d(channels, units, *shapes, activation=None, **options[kind])
    reach = [gap * (length - 1) + 1 for gap, length in zip(dilation, size, strict=True)]
    sides = [max(1, length - 2 * pad) + draw(st.integers(0, 6)) for length, pad in zip(reach, padding, strict=True)]
    p = torch.rand(draw(st.integers(1, 4)), channels, *sides, dtype=torch.float64)
    return layer.double().requires_grad_(False), p.to(memory_format=torch.channels_last)


@settings(deadline=None, max_examples=150)
@given(
    convolutions(),
    st.sampled_from(["potential", "rectified", "joined"]),
    st.booleans(),
    st.booleans(),
    st.integers(1, 3),
)
def test_numbers_are_those_of_the_formula(example, result, frozen, last, threads):
    layer, p = example
    E, I = layer.excitation_inhibition(p)
    z = (E - I) / (E + I)
    shortcut = torch.rand_like(z) * 2 - 1
    wanted = {"potential": z, "rectified": z.relu(), "joined": ((z + shortcut) / 2).relu()}[result]
    layer, p = (
        layer.to(torch.float32, memory_format=torch.channels_last if last else torch.contiguous_format),
        p.float(),
    )
    if frozen:
        layer = freeze(layer)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        sums = layer.open_conductances(p)
        if result == "joined":
            found = kernels.joined_average(sums, shortcut.float(), -3)
        else:
            found = kernels.average(sums, -3, result == "rectified")
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(found.double(), wanted, rtol=1e-5, atol=1e-5)
    assert not isinstance(sums, PendingConvolution) or found.is_contiguous(memory_format=torch.channels_last)


def the_layer():
    return CWAConv2d(8, 6, 3, 2, 1), torch.rand(2, 8, 9, 7).to(memory_format=torch.channels_last)


def is_taken(layer, p):
    return isinstance(layer.open_conductances(p), PendingConvolution)


def test_is_taken_where_no_gradient_is_asked_for():
    layer, p = the_layer()
    assert not is_taken(layer, p)
    with torch.no_grad():
        assert is_taken(layer, p)
    frozen = freeze(layer)
    assert is_taken(frozen, p)
    assert not is_taken(frozen, p.clone().requires_grad_())


@pytest.mark.parametrize("case", ["contiguous", "float64", "bfloat16", "small", "groups", "formula", "same"])
def test_everything_else_goes_another_way(case):
    layer, p = the_layer()
    if case == "contiguous":
        p = p.contiguous()
    elif case in ("float64", "bfloat16"):
        layer, p = layer.to(getattr(torch, case)), p.to(getattr(torch, case))
    elif case == "small":
        kernels.use_average(None)
    elif case == "groups":
        layer = CWAConv2d(8, 6, 3, groups=2)
    elif case == "formula":
        kernels.use_average("formula")
    else:
        layer = CWAConv2d(8, 6, 3, padding="same")
    with torch.no_grad():
        assert not is_taken(layer, p)


def test_whoever_wants_the_sums_has_them_computed():
    layer, p = the_layer()
    with torch.no_grad():
        E, I = layer.excitation_inhibition(p)
        torch.testing.assert_close(layer(p), ((E - I) / (E + I)).relu())
        extra = torch.rand(2, 12, 5, 4)
        torch.testing.assert_close(
            layer(p, extra), kernels.average(kernels.dense(layer.open_conductances(p), -3) + extra, -3, True)
        )


def test_a_kernel_that_sees_nothing_but_padding_rests():
    layer = CWAConv2d(4, 5, 1, 1, 2, activation=None, resting_potential=0.25)
    p = torch.rand(1, 4, 3, 3).to(memory_format=torch.channels_last)
    with torch.no_grad():
        z = layer(p)
    torch.testing.assert_close(z[:, :, :2], torch.full_like(z[:, :, :2], 0.25))


def test_a_shortcut_of_another_type_is_joined_outside():
    layer, p = the_layer()
    with torch.no_grad():
        sums = layer.open_conductances(p)
        shortcut = torch.rand(convolution.average_convolution(sums, False).shape, dtype=torch.float64)
        joined = kernels.joined_average(sums, shortcut, -3)
        torch.testing.assert_close(joined, ((kernels.average(sums, -3, False) + shortcut) / 2).relu())
