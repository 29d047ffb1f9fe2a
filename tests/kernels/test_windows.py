"""Convolutions as matrix products, or as one for each kind of channel, give the numbers of one in two groups."""

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from conductance.kernels import products, windows
from conductance.nn import CWAConv2d


def gradients(layer, p):
    p = p.detach().clone().requires_grad_()
    result = layer(p)
    slope = torch.linspace(-1, 1, result.numel(), dtype=result.dtype).view(result.shape)
    return [result, *torch.autograd.grad(result, [p, *layer.parameters()], slope)]


@st.composite
def convolutions(draw):
    size, stride, padding = (draw(st.integers(*ends)) for ends in ((1, 4), (1, 3), (0, 2)))
    torch.manual_seed(draw(st.integers(0, 2**16)))
    side = draw(st.integers(max(1, size - 2 * padding), 5))
    share = draw(st.sampled_from([0.5, 0.5, 0.75]))
    layer = CWAConv2d(8, draw(st.integers(2, 12)), size, stride, padding, excitatory_share=share, activation=None)
    p = torch.rand(draw(st.integers(1, 3)), 8, side, side)
    return layer, p.to(memory_format=draw(st.sampled_from([torch.contiguous_format, torch.channels_last])))


@settings(deadline=None, max_examples=80)
@given(convolutions())
def test_every_way_to_multiply_gives_the_same_numbers_and_gradients(example):
    layer, p = example
    found = gradients(layer, p)
    for got, want in zip(found, gradients(layer.double(), p.double()), strict=True):
        torch.testing.assert_close(got.double(), want, rtol=1e-4, atol=2e-5)
    assert not p.is_contiguous(memory_format=torch.channels_last) or found[0].is_contiguous(
        memory_format=torch.channels_last
    )


@settings(deadline=None)
@given(st.integers(1, 5), st.integers(1, 5), st.integers(1, 3), st.integers(0, 2))
def test_a_kernel_covers_what_it_sees_whole_from_one_position(length, size, stride, padding):
    assume(size <= length + 2 * padding)
    ones = torch.ones(1, 1, length)
    seen = torch.nn.functional.conv1d(ones, torch.ones(1, 1, size), stride=stride, padding=padding)
    whole = seen.numel() == 1 and float(seen) == length
    options = {"stride": (stride,), "padding": (padding,), "dilation": (1,)}
    assert windows.covers(torch.ones(2, 1, size), ones, **options) == whole


@pytest.mark.parametrize(
    ("case", "taken"),
    [
        ((8, 12, 3, 2, 1, 2), "matrices"),
        ((32, 64, 3, 1, 1, 4), "contiguous_halves"),
        ((8, 12, 3, 1, 1, 9), None),
    ],
)
def test_which_way_is_taken(case, taken, monkeypatch):
    inputs, units, size, stride, padding, side = case
    layer, called = CWAConv2d(inputs, units, size, stride, padding), []
    for name in ("matrices", "contiguous_halves"):
        plain = getattr(windows, name)
        monkeypatch.setattr(
            products.windows, name, lambda *given, name=name, plain=plain: called.append(name) or plain(*given)
        )
    layer(torch.rand(2, inputs, side, side).to(memory_format=torch.channels_last))
    assert called == ([taken] if taken else [])
