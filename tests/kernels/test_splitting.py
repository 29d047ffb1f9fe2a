"""What is common to conductances and the rest, and sums over channels, against plain operations."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conductance import kernels
from conductance.kernels import splitting


@pytest.mark.usefixtures("any_average")
@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 9), st.integers(1, 40), st.sampled_from([(), (3,), (2, 3)]), st.booleans(), st.integers(1, 2),
    st.sampled_from([torch.bfloat16, torch.float32]), st.sampled_from(["native", "formula"]),
    st.sampled_from([0, 0.1, 1, 8])
)  # fmt: skip
def test_what_is_common_and_the_rest_add_up_to_the_conductance(units, fan_in, kernel, last, kinds, dtype, name, tail):
    kernels.use_average(name)
    kinds = 1 if kernel else kinds
    G = torch.rand(units, kinds * fan_in, *kernel).pow(tail)
    G = (G.to(memory_format=torch.channels_last) if last and G.ndim == 4 else G).requires_grad_()
    common, rest = splitting.common_and_rest(G, kinds, dtype)
    stacked = torch.cat(G.chunk(kinds, 1))
    assert rest.dtype == dtype
    assert not common.requires_grad
    wanted = stacked - common.view(-1, *(1,) * (G.ndim - 1))
    for own, of_unit, left in zip(stacked.flatten(1), common, wanted.flatten(1), strict=True):
        if own.sum() ** 2 > 1.001 * splitting.MANY * own.square().sum() or 2 * own.min() > 1.001 * own.mean():
            torch.testing.assert_close(of_unit, own.mean())
        elif own.sum() ** 2 < 0.999 * splitting.MANY * own.square().sum():
            assert bool((left.abs() <= 1.0001 * own).all())
    tolerance = {"rtol": 2**-8, "atol": 1e-6} if dtype == torch.bfloat16 else {}
    torch.testing.assert_close(rest.float(), wanted, **tolerance)
    slope = torch.randn(rest.shape).to(dtype)
    found, right = torch.autograd.grad(rest, G, slope), torch.autograd.grad(stacked, G, slope.float())
    torch.testing.assert_close(found, right)


@pytest.mark.usefixtures("any_average")
@settings(deadline=None, max_examples=40)
@given(
    st.integers(1, 3), st.integers(1, 5), st.sampled_from([(), (3,), (2, 3), (2, 3, 2)]), st.booleans(),
    st.integers(1, 2), st.booleans()
)  # fmt: skip
def test_sums_over_channels_and_their_gradient(rows, channels, positions, last, groups, turned):
    kernels.use_average("native")  # where there is a compiler
    p = torch.rand(rows, groups * channels, *positions)
    p = (p.to(memory_format=torch.channels_last) if last and p.ndim == 4 else p).requires_grad_()
    axis = -1 - len(positions)
    same, sums = splitting.with_sums(p, groups, axis, torch.float64)
    wanted = splitting.formula(p, groups, axis, torch.float64)
    torch.testing.assert_close(sums, wanted)
    of_p = torch.randn(p.shape[::-1]).permute(*range(p.ndim)[::-1]) if turned else torch.randn(p.shape)
    of_sums = torch.randn(sums.shape, dtype=torch.float64)
    found = torch.autograd.grad([same, sums], p, [of_p, of_sums])
    torch.testing.assert_close(found, torch.autograd.grad([p, wanted], p, [of_p, of_sums]))


@pytest.mark.usefixtures("any_average")
def test_sums_can_be_differentiated_twice():
    kernels.use_average("native")
    p = torch.rand(2, 4, 2, 2, dtype=torch.float64, requires_grad=True)
    product = lambda p: torch.cat(splitting.with_sums(p, 2, -3, torch.float64), 1).square()  # noqa: E731
    assert torch.autograd.gradcheck(product, p)
    assert torch.autograd.gradgradcheck(product, p)
