"""A residual block's average and its mean with the shortcut in one pass: numbers and gradients of the formula."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conductance import kernels
from conductance.kernels import SplitSums, native, residual

pytestmark = pytest.mark.usefixtures("any_average")


@pytest.fixture(autouse=True)
def _compiled():
    if native.library() is None:
        pytest.skip("needs a C++ compiler")
    kernels.use_average("native")


@st.composite
def blocks(draw):
    """E' and I' of any shape and layout, and a shortcut of another layout perhaps; float64."""
    rows, units, positions = draw(st.integers(1, 5)), draw(st.integers(1, 9)), draw(st.sampled_from([(), (3,), (2, 4)]))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**16)))

    def room(channels):
        values = torch.rand(rows, channels, *positions, generator=generator, dtype=torch.float64)
        last = draw(st.booleans()) and values.ndim == 4
        return values.to(memory_format=torch.channels_last) if last else values

    return 0.1 + room(2 * units), room(units), -1 - len(positions)


def plain(both, shortcut, axis):
    E, I = both.chunk(2, axis)
    return (((E - I) / (E + I) + shortcut) / 2).relu()


@settings(deadline=None, max_examples=60)
@given(blocks(), st.sampled_from([(torch.float64, 1e-12), (torch.float32, 1e-5)]))
def test_numbers_and_gradients_are_those_of_the_formula(block, kind):
    both, shortcut, axis = block
    dtype, tolerance = kind
    wanted_leaves = [both.requires_grad_(), shortcut.requires_grad_()]
    leaves = [leaf.detach().to(dtype).requires_grad_() for leaf in wanted_leaves]
    wanted, found = plain(*wanted_leaves, axis), kernels.joined_average(*leaves, axis)
    assert "JoinedAverage" in str(found.grad_fn.name())
    slope = torch.rand_like(wanted) * (wanted > 1e-4)  # at p = 0, where gradients jump, rounding may decide
    torch.testing.assert_close(found.double(), wanted, rtol=tolerance, atol=tolerance)
    with torch.no_grad():
        torch.testing.assert_close(kernels.joined_average(*leaves, axis), found, rtol=0, atol=0)
    gradients = torch.autograd.grad(found, leaves, slope.to(dtype))
    for mine, theirs in zip(gradients, torch.autograd.grad(wanted, wanted_leaves, slope), strict=True):
        torch.testing.assert_close(mine.double(), theirs, rtol=100 * tolerance, atol=100 * tolerance)


@settings(deadline=None, max_examples=15)
@given(blocks())
def test_gradients_can_be_differentiated_again(block):
    both, shortcut, axis = block
    leaves = both.requires_grad_(), shortcut.requires_grad_()
    if float(plain(*leaves, axis).detach().sub(1e-4).abs().min()) < 1e-4:
        return  # the kink is too near for differences
    assert torch.autograd.gradcheck(lambda *given: kernels.joined_average(*given, axis), leaves)
    assert torch.autograd.gradgradcheck(lambda *given: kernels.joined_average(*given, axis), leaves)


@settings(deadline=None, max_examples=40)
@given(blocks(), st.sampled_from([1, 2]), st.sampled_from([torch.bfloat16, torch.float32]))
def test_sums_in_parts_too(block, width, dtype):
    """Half precision, and float32 with its shared part in float64."""
    rest, shortcut, axis = block
    rest, shortcut = rest.to(dtype), shortcut.to(dtype).requires_grad_()
    wide = torch.float32 if dtype == torch.bfloat16 else torch.float64
    shared = (9 + rest.detach().narrow(axis, 0, width if rest.shape[axis] >= width else 1)).to(wide)
    mean, leak = 1 + torch.arange(rest.shape[axis]).to(wide) / 100, torch.full((rest.shape[axis],), 0.1)
    leaves = rest.requires_grad_(), shared.requires_grad_(), shortcut
    sums = SplitSums(rest, shared, mean, leak)

    def found(name):
        kernels.use_average(name)
        p = kernels.joined_average(sums, shortcut, axis)
        slope = torch.linspace(1, 2, p.numel()).view(p.shape).to(dtype) * (p > 0.02)
        return p, *torch.autograd.grad(p, leaves, slope)

    tolerance = {"rtol": 0.03, "atol": 0.03} if dtype == torch.bfloat16 else {"rtol": 1e-4, "atol": 1e-5}
    for mine, theirs in zip(found("native"), found("formula"), strict=True):
        torch.testing.assert_close(mine, theirs, **tolerance)
    kernels.use_average("native")
    again = torch.autograd.grad(
        kernels.joined_average(sums, shortcut, axis).float().square().sum(), leaves, create_graph=True
    )
    assert all(each.requires_grad and each.shape == leaf.shape for each, leaf in zip(again, leaves, strict=True))


def test_what_is_not_finite_stays_so():
    both = torch.tensor([[1.0, float("nan"), 1.0, 1.0]])
    assert kernels.joined_average(both, torch.zeros(1, 2), -1).isnan().tolist() == [[False, True]]


@pytest.mark.parametrize("change", ["dtype", "shape", "kernel"])
def test_other_tensors_go_the_plain_way(change):
    both, shortcut = 0.1 + torch.rand(3, 8), torch.rand(3, 4)
    if change == "dtype":
        shortcut = shortcut.double()
    if change == "shape":
        shortcut = shortcut[:1]
    if change == "kernel":
        kernels.use_average("blocked")
    assert not residual._parts_of_one_pass(both, shortcut, -1, None)
    torch.testing.assert_close(kernels.joined_average(both, shortcut, -1), plain(both, shortcut, -1))
