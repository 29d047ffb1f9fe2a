"""Triton's kernels against float64: on a GPU where there is one, else in Triton's interpreter."""

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from conductance import kernels
from conductance.kernels import SplitSums, averaging
from conductance.kernels.gpu import operators
from triton_tests import BF16, DEVICE, EPS, F32, close

pytestmark = pytest.mark.usefixtures("on_triton")
drawn = settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])


# The average ----------------------------------------------------------------------------------------------------------


@st.composite
def sums(draw):
    """E', then I', of some shape and layout, with the axis of the channels."""
    batch, channels = draw(st.integers(0, 3)), draw(st.integers(1, 19))
    positions = draw(st.sampled_from([(), (1,), (7,), (5, 5), (2, 3, 2)]))
    shape = (2 * channels, *positions) if draw(st.booleans()) and batch else (batch, 2 * channels, *positions)
    torch.manual_seed(draw(st.integers(0, 9)))
    both = (0.1 + torch.rand(shape)).to(DEVICE)
    layout = draw(st.sampled_from(["contiguous", "channels last", "strided"]))
    if layout == "channels last" and both.ndim in (4, 5):
        both = both.to(memory_format=torch.channels_last if both.ndim == 4 else torch.channels_last_3d)
    elif layout == "strided":
        both = both.repeat_interleave(2, -1)[..., ::2]
    return both, -1 - len(positions)


@drawn
@given(sums(), st.sampled_from([torch.float64, F32, torch.float16, BF16]), st.booleans())
def test_the_average_and_its_gradient(drawn_sums, dtype, rectify):
    both, axis = drawn_sums
    both = both.to(dtype).requires_grad_()
    exact = both.detach().double().requires_grad_()
    z, wanted = kernels.average(both, axis, rectify), averaging.formula(exact, axis, rectify, torch.float64)[0]
    assert averaging.kernel_name(both, axis) == "triton"
    assert z.dtype == dtype
    close(z, wanted, EPS[dtype], least=1)
    with torch.no_grad():
        assert torch.equal(kernels.average(both, axis, rectify), z)
    grad = torch.randn(z.shape, device=DEVICE).to(dtype)
    closed = wanted.detach() <= 0 if rectify else torch.zeros_like(wanted, dtype=torch.bool)
    grad = grad.masked_fill(closed | (z.detach() <= 0 if rectify else False), 0)  # rounding decides who is just open
    (found,) = torch.autograd.grad(z, both, grad)
    (right,) = torch.autograd.grad(wanted, exact, grad.double())
    close(found, right, 2 * EPS[dtype])


@st.composite
def parts(draw):
    """As a low-precision product gives them, or a float32 one without its leak."""
    both, axis = draw(sums())
    shared = draw(st.sampled_from([0, 1, 2]))
    units = both.shape[axis]
    leak = torch.rand(units, device=DEVICE)
    if shared == 0:
        return SplitSums(both, None, None, leak), axis
    narrow = both.narrow(axis, 0, 1)
    common = torch.cat([1 + torch.rand_like(narrow)] * shared, axis) if both.ndim + axis >= 0 else None
    mean = 0.5 + torch.rand(units, device=DEVICE)
    if draw(st.booleans()):
        return SplitSums(both.sub(0.6).to(BF16), common, mean, leak), axis
    return SplitSums(both.sub(0.6), None if common is None else common.double(), mean.double(), leak), axis


@drawn
@given(parts(), st.booleans())
def test_the_average_of_sums_in_parts(drawn_parts, rectify):
    sums, axis = drawn_parts
    leaves = [None if part is None else part.detach().requires_grad_(part is not sums.common) for part in sums[:4]]
    exact = [None if part is None else part.detach().double().requires_grad_() for part in leaves]
    z = kernels.average(SplitSums(*leaves), axis, rectify)
    whole = exact[0] + along(exact[3], axis)
    if exact[1] is not None:
        common = exact[1].repeat_interleave(exact[0].shape[axis] // exact[1].shape[axis], axis)
        whole = whole + common * along(exact[2], axis)
    wanted = averaging.formula(whole, axis, rectify, torch.float64)[0]
    eps = EPS[z.dtype]
    close(z, wanted, eps, least=1)
    grad = torch.randn(z.shape, device=DEVICE).to(z.dtype)
    grad = grad.masked_fill((wanted.detach() <= 0) | (z.detach() <= 0), 0) if rectify else grad
    asked = [i for i in (0, 1, 3) if leaves[i] is not None]
    found = torch.autograd.grad(z, [leaves[i] for i in asked], grad)
    right = torch.autograd.grad(wanted, [exact[i] for i in asked], grad.double())
    for got, want in zip(found, right, strict=True):
        close(got, want, 4 * eps)


def along(values, axis):
    return values.view(-1, *(1,) * (-1 - axis))


def test_a_layout_stays_what_it_is():
    both = torch.rand(4, 6, 5, 5, device=DEVICE).to(memory_format=torch.channels_last).requires_grad_()
    z = kernels.average(both, -3, True)
    assert z.is_contiguous(memory_format=torch.channels_last)
    (gradient,) = torch.autograd.grad(z, both, torch.ones_like(z))
    assert gradient.is_contiguous(memory_format=torch.channels_last)


def test_what_is_not_a_number_stays_so():
    both = torch.tensor([[1.0, float("nan"), 1.0, 1.0]], device=DEVICE)
    assert kernels.average(both, -1, True).isnan().tolist() == [[False, True]]


# The product ----------------------------------------------------------------------------------------------------------


@st.composite
def products(draw):
    """p, G, leak and the number of excitatory columns; p is a view with gaps between its rows, or even its numbers."""
    size = st.integers(1, 24)
    rows, units, excitatory = draw(st.integers(0, 24)), draw(size), draw(size)
    shared = draw(st.booleans())
    inhibitory = excitatory if shared else draw(st.integers(0, 24))
    torch.manual_seed(draw(st.integers(0, 9)))
    p = torch.rand(rows, excitatory if shared else excitatory + inhibitory, device=DEVICE)
    view = draw(st.sampled_from(["whole", "rows apart", "numbers apart"]))
    if view == "rows apart":
        p = F.pad(p, (0, 3))[:, :-3]
    elif view == "numbers apart":
        p = p.repeat_interleave(2, 1)[:, ::2]
    G = torch.randn(units, excitatory + inhibitory, device=DEVICE).exp()
    return p, G, 0.5 + torch.rand(2, units, device=DEVICE), excitatory


def exactly(p, G, leak, excitatory, rectify):
    """z or p in float64, with gradients of all that goes in."""
    inputs = [tensor.detach().double().requires_grad_() for tensor in (p, G, leak)]
    both = kernels.linear.formula(*inputs, excitatory)
    return averaging.formula(both, -1, rectify, torch.float64)[0], inputs


@drawn
@given(products(), st.sampled_from([F32, BF16]), st.booleans())
def test_a_product_averages_and_has_its_gradients(drawn_product, dtype, rectify):
    p, G, leak, excitatory = drawn_product
    p, G, leak = (tensor.detach().requires_grad_() for tensor in (p.to(dtype), G, leak))
    z, total = operators.averaged_product(p, G, leak, excitatory, rectify)
    wanted, exact = exactly(p, G, leak, excitatory, rectify)
    assert z.dtype == total.dtype == dtype
    assert not total.requires_grad
    close(z, wanted, 2 * EPS[dtype], least=1)
    grad = torch.randn(z.shape, device=DEVICE).to(dtype)
    grad = grad.masked_fill((wanted.detach() <= 0) | (z.detach() <= 0), 0) if rectify else grad
    found = torch.autograd.grad(z, (p, G, leak), grad)
    for got, want in zip(found, torch.autograd.grad(wanted, exact, grad.double()), strict=True):
        close(got, want, 4 * EPS[dtype] if dtype == BF16 else 1e-5)


@pytest.mark.parametrize("size", ["LARGE", "SMALL"])
def test_tiles_of_full_size(size, on_triton, monkeypatch):
    from conductance.kernels.gpu import product

    monkeypatch.setattr(product, "tile_for", lambda *_: on_triton[size])
    p, G = torch.rand(300, 90, device=DEVICE), torch.rand(150, 90, device=DEVICE)
    leak = torch.rand(2, 150, device=DEVICE)
    close(operators.averaged_product(p, G, leak, 50, False)[0], exactly(p, G, leak, 50, False)[0], 4e-6, least=1)


def test_nearly_equal_conductances_are_told_apart_in_half_precision():
    p, G = torch.rand(40, 64, device=DEVICE).bfloat16(), 1 + 0.01 * torch.randn(24, 64, device=DEVICE)
    leak = torch.ones(2, 24, device=DEVICE)
    z = operators.averaged_product(p, G, leak, 32, False)[0]
    wanted = exactly(p, G, leak, 32, False)[0]
    rounded = exactly(p, G.bfloat16(), leak, 32, False)[0]

    def unlike(values):  # what units of one row differ by
        mine, right = (x.detach().double() - x.detach().double().mean(1, keepdim=True) for x in (values, wanted))
        return float((mine - right).norm() / right.norm())

    assert unlike(z) < 0.5 * unlike(rounded)


@pytest.mark.parametrize("dtype", [F32, BF16])
def test_the_operators_keep_torchs_rules(dtype):
    p = torch.rand(5, 6, device=DEVICE).to(dtype).requires_grad_()
    G, leak = torch.rand(4, 6, device=DEVICE, requires_grad=True), torch.rand(2, 4, device=DEVICE, requires_grad=True)
    tests = ("test_schema", "test_autograd_registration", "test_faketensor")
    torch.library.opcheck(operators.averaged_product, (p, G, leak, 3, True), test_utils=tests)
    z, total = (x.detach() for x in operators.averaged_product(p, G, leak, 3, True))
    torch.library.opcheck(operators.average_gradient, (torch.rand_like(z), z, total, True), test_utils=tests)
