"""Products of rounded factors have the sums of float64, and layers in bfloat16 the numbers of float32."""

import copy

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conductance.kernels import SplitSums, average, linear, native, paired_linear, rounded
from conductance.nn import CWALinear

pytestmark = pytest.mark.skipif(
    not rounded.has_instructions() or native.library("rounded") is None, reason="needs AVX512-BF16 and a C++ compiler"
)

TYPES = (torch.float32, torch.bfloat16)
SIZES = st.one_of(st.integers(1, 20), st.integers(90, 300))


def exact(tensor):
    return tensor.bfloat16().double()


def assert_sums(found, wanted, size):
    """Equal to within float32's rounding of sums of so many terms, whose sizes add up to ``size``."""
    assert bool(((found.double() - wanted).abs() <= 1e-6 * size + 1e-30).all())


@settings(deadline=None, max_examples=60)
@given(SIZES, SIZES, SIZES, st.sampled_from(TYPES), st.integers(0, 2**16))
def test_products_are_those_of_rounded_factors(rows, units, fan_in, dtype, seed):
    generator = torch.Generator().manual_seed(seed)
    draw = lambda *shape: torch.randn(shape, generator=generator)  # noqa: E731
    p, G, bias = (
        draw(rows, fan_in + 3)[:, 1 : fan_in + 1].to(dtype),
        draw(units, fan_in + 5)[:, 2 : fan_in + 2],
        draw(units),
    )
    out, grad = torch.full((rows, units + 2), float("nan")), draw(rows, 2 * units)[:, units:]

    rounded.product(p, G, bias, out[:, 1 : units + 1])
    assert_sums(out[:, 1 : units + 1], exact(p) @ exact(G).t() + bias.double(), exact(p).abs() @ exact(G).abs().t() + 1)
    assert bool(out[:, [0, -1]].isnan().all())  # nothing is written beside it

    of_G = torch.full((units, fan_in + 2), float("nan"))
    rounded.conductance_gradient(grad, p, of_G[:, 1 : fan_in + 1])
    assert_sums(of_G[:, 1 : fan_in + 1], exact(grad).t() @ exact(p), exact(grad).abs().t() @ exact(p).abs())
    assert bool(of_G[:, [0, -1]].isnan().all())

    of_p = torch.full((rows, fan_in + 2), float("nan"), dtype=dtype)
    rounded.input_gradient(grad, G, of_p[:, 1 : fan_in + 1])
    wanted, size = exact(grad) @ exact(G), exact(grad).abs() @ exact(G).abs()
    rounding = 2.0**-8 * wanted.abs() / 1e-6 if dtype == torch.bfloat16 else 0
    assert_sums(of_p[:, 1 : fan_in + 1], wanted, size + rounding)
    assert bool(of_p[:, [0, -1]].isnan().all())


@pytest.fixture
def always(monkeypatch):
    """Small matrices take the way of large ones."""
    monkeypatch.setattr(native, "LEAST", 1)
    monkeypatch.setattr(linear, "LEAST", 1)


@st.composite
def doubled_inputs(draw):
    """Open probabilities, conductances from silent to enormous, and a leak."""
    rows, units, fan_in = draw(st.integers(1, 20)), draw(st.integers(1, 80)), draw(st.integers(1, 200))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**16)))
    p, G = torch.rand(rows, fan_in, generator=generator), torch.rand(units, 2 * fan_in, generator=generator)
    p = p * (torch.rand(p.shape, generator=generator) < draw(st.sampled_from([0.0, 0.1, 0.5, 1.0])))
    G = G ** draw(st.sampled_from([0.0, 1.0, 20.0])) * 10.0 ** draw(st.integers(-20, 20))
    for kind in G.chunk(2, 1):
        if draw(st.booleans()):  # one kind alone is open at some units
            kind.mul_(torch.rand(units, 1, generator=generator) < 0.5)
    return p, G, torch.full((2, units), 10.0 ** draw(st.sampled_from([-30, -3, 1])))


@pytest.mark.usefixtures("always")
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(doubled_inputs(), st.sampled_from(["contiguous", "of a larger one"]))
def test_a_doubled_input_by_sum_and_difference_stays_in_range_and_near_float64(tensors, layout):
    p, G, leak = tensors
    if layout != "contiguous":
        p = torch.cat([p, p], 1)[:, : p.shape[1]]
    parts = [G.requires_grad_(), leak.requires_grad_()]
    exact = [p.double(), *(part.detach().double().requires_grad_() for part in parts)]
    assert linear._is_doubled(p, G)
    both, wanted = paired_linear(p, G, leak, p.shape[1]), paired_linear(*exact, p.shape[1])
    assert bool((both >= 0).all())
    z = average(both, -1, False)
    assert bool((z.abs() <= 1).all())
    E, I = wanted.chunk(2, 1)
    torch.testing.assert_close(z.double(), (E - I) / (E + I), rtol=2**-7, atol=1e-5)
    slope = torch.randn(both.shape)
    found = torch.autograd.grad(both, parts, slope)
    for got, want in zip(found, torch.autograd.grad(wanted, exact[1:], slope.double()), strict=True):
        assert (got.double() - want).norm() <= 2**-7 * want.norm() + 1e-30


def test_sum_and_difference_are_near_float64_and_nearest_where_units_open_and_close():
    """D is rounded, in relative terms; N has less of float32's rounding than the difference of two large sums."""
    errors = {"together": 0.0, "apart": 0.0}
    for seed in range(4):
        torch.manual_seed(seed)
        layer = CWALinear(3072, 300, doubled_input=True, activation=None)
        p, exact = torch.rand(250, 3072), copy.deepcopy(layer).double()
        wanted = exact(p.double())
        with torch.no_grad():
            apart = layer(p)  # two plain products
        found = layer(p)
        assert (found - wanted).norm() <= 3e-4 * wanted.norm()
        slope = torch.randn(wanted.shape, dtype=torch.float64)
        (of_found,) = torch.autograd.grad(found, layer.g, slope.float())
        (of_exact,) = torch.autograd.grad(wanted, exact.g, slope)
        assert (of_found - of_exact).norm() <= 3e-4 * of_exact.norm()
        near = wanted.abs() < 1e-4
        errors["together"] += float((found - wanted).detach()[near].abs().sum())
        errors["apart"] += float((apart - wanted).detach()[near].abs().sum())
    assert errors["together"] < errors["apart"]


def test_a_doubled_input_is_plain_where_nothing_is_learnt_or_where_it_learns_itself():
    layer, p = CWALinear(3072, 100, doubled_input=True), torch.rand(100, 3072)
    assert linear._is_doubled(p, layer.g)
    assert not linear._is_doubled(p.clone().requires_grad_(), layer.g)
    with torch.no_grad():
        assert not linear._is_doubled(p, layer.g)


def test_a_doubled_input_can_be_differentiated_twice():
    torch.manual_seed(0)
    layer, p = CWALinear(3072, 100, doubled_input=True, activation=None), torch.rand(100, 3072)

    def penalty(layer, p):
        (first,) = torch.autograd.grad(layer(p).pow(2).sum(), layer.g, create_graph=True)
        return torch.autograd.grad(first.pow(2).sum(), layer.g)[0]

    wanted = penalty(copy.deepcopy(layer).double(), p.double())
    assert (penalty(layer, p) - wanted).norm() <= 5e-3 * wanted.norm()


def test_one_thread_and_several_give_the_same():
    p, G, bias, threads = torch.rand(70, 500), torch.rand(400, 500), torch.rand(400), torch.get_num_threads()
    found = []
    try:
        for number in (1, 3):
            torch.set_num_threads(number)
            out, of_G, of_p = torch.empty(70, 400), torch.empty(400, 500), torch.empty(70, 500)
            rounded.product(p, G, bias, out)
            rounded.conductance_gradient(out, p, of_G)
            rounded.input_gradient(out, G, of_p)
            found.append((out, of_G, of_p))
    finally:
        torch.set_num_threads(threads)
    assert all(map(torch.equal, *found))


def test_where_memory_ends_torch_says_so():
    """Rows that are one row, 2^50 times: they take no memory themselves, and nothing is computed."""
    rows = lambda width: torch.zeros(1, width).expand(2**50, width)  # noqa: E731
    p, grad, G = rows(40), rows(5), torch.ones(5, 40)
    for product in (
        lambda: rounded.product(p, G, torch.zeros(5), grad),
        lambda: rounded.conductance_gradient(grad, p, G),
        lambda: rounded.input_gradient(grad, G, p),
    ):
        with pytest.raises(RuntimeError, match="allocate memory"):
            product()


def test_what_is_not_a_number_stays_so():
    p = torch.ones(3, 40)
    p[1, 30] = float("nan")
    out = torch.empty(3, 5)
    rounded.product(p, torch.ones(5, 40), torch.zeros(5), out)
    assert out.isnan().all(1).tolist() == [False, True, False]


def test_no_rows_are_no_work():
    out = torch.empty(0, 5)
    rounded.product(torch.empty(0, 40), torch.ones(5, 40), torch.zeros(5), out)
    of_G = torch.full((5, 40), float("nan"))
    rounded.conductance_gradient(out, torch.empty(0, 40), of_G)
    assert bool((of_G == 0).all())


@pytest.mark.parametrize("dtype", TYPES)
def test_sums_over_no_synapses_or_no_units_are_zero(dtype):
    out = torch.full((70, 50), float("nan"))
    rounded.product(torch.empty(70, 0, dtype=dtype), torch.empty(50, 0), torch.arange(50.0), out)
    assert torch.equal(out, torch.arange(50.0).expand(70, 50))
    both = torch.full((70, 100), float("nan"))
    both[:, 50:] = 0
    rounded.both_from_difference(torch.empty(70, 0, dtype=dtype), torch.empty(50, 0), torch.ones(2, 50), both)
    assert bool((both == 1).all())
    of_p = torch.full((70, 130), float("nan"), dtype=dtype)
    rounded.input_gradient(torch.empty(70, 0), torch.empty(0, 130), of_p)
    assert bool((of_p == 0).all())


@pytest.mark.parametrize("doubled", [False, True])
def test_a_layer_in_bfloat16_has_whole_sums_and_the_numbers_of_float32(doubled):
    torch.manual_seed(0)
    layer = CWALinear(300, 300, doubled_input=doubled, activation=None)  # no unit near 0 opens or closes
    p = torch.rand(50, 300, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        assert not isinstance(layer.open_conductances(p), SplitSums)
        found = layer(p)
    assert found.dtype == torch.bfloat16
    wanted, slope = layer(p), torch.randn(50, 300)
    results = [found, *torch.autograd.grad(found, [p, layer.g], slope.bfloat16())]
    expected = [wanted, *torch.autograd.grad(wanted, [p, layer.g], slope)]
    for got, want in zip(results, expected, strict=True):
        together = torch.stack([got.float().flatten(), want.flatten()])
        assert torch.corrcoef(together)[0, 1] > 0.9999


@pytest.mark.parametrize("doubled", [False, True])
def test_inputs_that_lie_in_columns_have_the_gradient_of_those_in_rows(doubled):
    torch.manual_seed(0)
    layer = CWALinear(300, 300, doubled_input=doubled, activation=None)
    rows = torch.rand(50, 300, requires_grad=True)
    columns = rows.detach().t().contiguous().t().requires_grad_()
    for p in (rows, columns):
        with torch.autocast("cpu", torch.bfloat16):
            layer(p).float().square().sum().backward()
    assert columns.stride() == (1, 50)
    torch.testing.assert_close(columns.grad, rows.grad, rtol=0, atol=0)


def test_a_layer_in_bfloat16_can_be_differentiated_twice():
    torch.manual_seed(0)
    layer = CWALinear(300, 300, activation=None)
    p = torch.rand(5, 300, requires_grad=True)

    def twice():
        (first,) = torch.autograd.grad(layer(p).float().pow(2).sum(), p, create_graph=True)
        return torch.autograd.grad(first.pow(2).sum(), p)[0]

    wanted = twice()
    with torch.autocast("cpu", torch.bfloat16):
        found = twice()
    assert torch.corrcoef(torch.stack([found.flatten(), wanted.flatten()]))[0, 1] > 0.99


def test_conductances_that_are_nearly_equal_are_split_as_before():
    layer = CWALinear(300, 300, nonnegative="rectified")
    with torch.autocast("cpu", torch.bfloat16):
        assert isinstance(layer.open_conductances(torch.rand(5, 300)), SplitSums)


def test_a_copy_of_another_type_is_left_to_torch():
    layer = CWALinear(300, 300)
    p = torch.rand(5, 300)
    assert rounded.serves(p, layer.g)
    assert not rounded.serves(p.double(), layer.g)
    assert not rounded.serves(p, copy.deepcopy(layer).double().g)
    assert not rounded.serves(p, layer.g.t())
    assert not rounded.serves(p, CWALinear(20, 20).g)
