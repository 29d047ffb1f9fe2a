"""Triton's kernels against float64: on a GPU where there is one, else in Triton's interpreter."""

from contextlib import contextmanager
from copy import deepcopy

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from conductance import kernels
from conductance.bench import precision
from conductance.kernels import SplitSums, averaging
from conductance.kernels.gpu import averaged
from conductance.nn import AbsNormLinear, ConductanceLayer, CWAConv1d, CWAConv2d, CWALinear, LateralLinear

pytestmark = pytest.mark.usefixtures("on_triton")
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
F32, BF16 = torch.float32, torch.bfloat16
EPS = {torch.float64: 1e-14, F32: 2e-6, torch.float16: 2e-3, BF16: 1.6e-2}
drawn = settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])


def close(found, wanted, eps, least=1e-3):
    """Near in the largest norm, relative to the largest value, or to ``least``."""
    found, wanted = found.detach().double(), wanted.detach().double()
    assert found.shape == wanted.shape
    if wanted.numel():
        scale = max(least, float(wanted.abs().max()))
        assert float((found - wanted).abs().max()) <= eps * scale


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
    return SplitSums(both.sub(0.6).to(BF16), common, mean, leak), axis


@drawn
@given(parts(), st.booleans())
def test_the_average_of_sums_in_parts(drawn_parts, rectify):
    sums, axis = drawn_parts
    leaves = [None if part is None else part.detach().requires_grad_(part is not sums.mean) for part in sums[:4]]
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
    z, total = averaged.averaged_product(p, G, leak, excitatory, rectify)
    wanted, exact = exactly(p, G, leak, excitatory, rectify)
    assert z.dtype == total.dtype == dtype
    assert not total.requires_grad
    close(z, wanted, 2 * EPS[dtype], least=1)
    grad = torch.randn(z.shape, device=DEVICE).to(dtype)
    grad = grad.masked_fill((wanted.detach() <= 0) | (z.detach() <= 0), 0) if rectify else grad
    found = torch.autograd.grad(z, (p, G, leak), grad)
    for got, want in zip(found, torch.autograd.grad(wanted, exact, grad.double()), strict=True):
        close(got, want, 4 * EPS[dtype] if dtype == BF16 else 1e-5)


def test_nearly_equal_conductances_are_told_apart_in_half_precision():
    p, G = torch.rand(40, 64, device=DEVICE).bfloat16(), 1 + 0.01 * torch.randn(24, 64, device=DEVICE)
    leak = torch.ones(2, 24, device=DEVICE)
    z = averaged.averaged_product(p, G, leak, 32, False)[0]
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
    torch.library.opcheck(averaged.averaged_product, (p, G, leak, 3, True), test_utils=tests)
    z, total = (x.detach() for x in averaged.averaged_product(p, G, leak, 3, True))
    torch.library.opcheck(averaged.average_gradient, (torch.rand_like(z), z, total, True), test_utils=tests)


# Layers ---------------------------------------------------------------------------------------------------------------

LAYERS = {  # (layer, shape of p, whether its product averages)
    "linear": (lambda: CWALinear(10, 7), (5, 10), True),
    "four to one": (lambda: CWALinear(10, 7, valence=[1.0] * 8 + [-1.0] * 2), (5, 10), True),
    "mixed order": (lambda: CWALinear(6, 7, valence=[1, -1, 1, -1, 1, 1]), (5, 6), True),
    "doubled": (lambda: CWALinear(6, 7, doubled_input=True), (5, 6), True),
    "sequences": (lambda: CWALinear(10, 7), (2, 3, 10), True),
    "empty batch": (lambda: CWALinear(10, 7), (0, 10), True),
    "one sample": (lambda: CWALinear(10, 7), (10,), False),
    "graded": (lambda: CWALinear(6, 7, valence=[1, -1, 0.5, -0.5, 1, 1]), (5, 6), False),
    "1x1": (lambda: CWAConv2d(6, 5, 1), (2, 6, 4, 5), True),
    "1x1, stride 2": (lambda: CWAConv2d(6, 5, 1, stride=2), (2, 6, 5, 5), True),
    "1x1, padded": (lambda: CWAConv2d(6, 5, 1, padding=1), (2, 6, 4, 5), False),
    "3x3": (lambda: CWAConv2d(6, 5, 3, padding=1), (2, 6, 4, 5), False),
    "3x3, groups": (lambda: CWAConv2d(8, 4, 3, groups=2), (2, 8, 4, 5), False),
    "3x3, doubled": (lambda: CWAConv2d(3, 4, 3, doubled_input=True), (2, 3, 4, 5), False),
    "sequence convolution": (lambda: CWAConv1d(4, 5, 3), (2, 4, 9), False),
    "interneurons": (lambda: LateralLinear(10, 8), (5, 10), True),  # which are linear layers
    "pooled": (lambda: CWALinear(10, 7, pooled_interneuron=True), (5, 10), True),
    "pooled 3x3": (lambda: CWAConv2d(6, 5, 3, pooled_interneuron=True), (2, 6, 4, 5), False),
    "signed": (lambda: AbsNormLinear(6, 5), (5, 6), False),
}


@pytest.fixture
def tensor_cores(monkeypatch):
    """Float32 factors may be rounded, which the interpreter does not do; tells what products have averaged."""
    taken = []
    inner = averaged.averaged_product
    monkeypatch.setattr(averaged, "averaged_product", lambda *given: taken.append(given) or inner(*given))
    with precision("tf32", torch.device(DEVICE)) if DEVICE == "cuda" else pretended_tf32():
        yield taken


@contextmanager
def pretended_tf32():
    matmul = torch.backends.cuda.matmul
    before, matmul.fp32_precision = matmul.fp32_precision, "tf32"
    yield
    matmul.fp32_precision = before


def build(name, learn=True):
    make, shape, averages = LAYERS[name]
    layer, p = make(), torch.rand(shape)
    if len(shape) == 4:
        p = p.to(memory_format=torch.channels_last)
    if learn and isinstance(layer, ConductanceLayer):
        layer.leak.pair = torch.nn.Parameter(layer.leak.pair)
    return layer.to(DEVICE), p.to(DEVICE).requires_grad_(), averages


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("name", LAYERS)
def test_layers_give_the_numbers_of_float64(name, half, tensor_cores):
    layer, p, averages = build(name)
    exact, right = deepcopy(layer).double(), p.detach().double().requires_grad_()
    with torch.autocast(DEVICE, BF16, enabled=half):
        z = layer(p)
    pooled = getattr(layer, "pooled_interneuron", False)  # which in half precision takes z as it was before rounding
    assert bool(tensor_cores) == (averages and not (half and pooled))
    wanted = exact(right)
    eps = 4 * EPS[BF16] if half else 1e-3 if DEVICE == "cuda" else 1e-5
    close(z, wanted, eps, least=1)
    grad = torch.randn(z.shape, device=DEVICE).masked_fill((wanted.detach() <= 0) | (z.detach() <= 0), 0)
    found = torch.autograd.grad(z, [p, *layer.parameters()], grad.to(z.dtype))
    for got, want in zip(found, torch.autograd.grad(wanted, [right, *exact.parameters()], grad.double()), strict=True):
        close(got, want, 2 * eps)


@pytest.mark.parametrize("name", ["linear", "1x1", "3x3"])
def test_a_layer_that_lends_its_sums_computes_them(name, tensor_cores):
    layer, p, _ = build(name)
    E, I = layer.excitation_inhibition(p)
    assert not tensor_cores
    close(layer(p), averaging.formula(torch.cat([E, I], layer.channel_axis), layer.channel_axis, True, F32)[0], 1e-3)
    extra = torch.rand_like(torch.cat([E, I], layer.channel_axis))
    e, i = extra.chunk(2, layer.channel_axis)
    close(layer(p, extra), ((E + e - I - i) / (E + e + I + i)).relu(), 1e-3)


@pytest.mark.usefixtures("tensor_cores")
@pytest.mark.parametrize("name", ["linear", "doubled", "1x1", "3x3"])
def test_second_derivatives_are_those_of_the_formula(name):
    layer, p, _ = build(name)

    def twice(layer, p):
        inputs = [p, *layer.parameters()]
        first = torch.autograd.grad(layer(p).square().sum(), inputs, create_graph=True)
        return torch.autograd.grad(sum(each.square().sum() for each in first), inputs)

    wanted = twice(deepcopy(layer).double(), p.detach().double().requires_grad_())
    for got, want in zip(twice(layer, p), wanted, strict=True):
        close(got, want, 1e-2 if DEVICE == "cuda" else 1e-4)


@pytest.mark.usefixtures("tensor_cores")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("name", ["linear", "1x1, stride 2", "3x3"])
def test_compiled_layers_give_the_same(name):
    layer, p, _ = build(name)
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    for got, want in zip(*(gradients(run, layer, p) for run in (compiled, layer)), strict=True):
        close(got, want, 1e-3)


def gradients(run, layer, p):
    torch.manual_seed(1)
    z = run(p)
    return z, *torch.autograd.grad(z, [p, *layer.parameters()], torch.randn(z.shape, device=DEVICE))


@pytest.mark.parametrize("name", ["linear", "1x1"])
def test_transforms_of_torch_see_through(name, tensor_cores):
    layer, p, _ = build(name)
    one = torch.func.vmap(layer)(p[:, None].detach())
    assert not tensor_cores
    close(one[:, 0], layer(p), 1e-3)
    exported = torch.export.export(layer, (p.detach(),))
    assert "averaged_product" not in exported.graph_module.code


def test_without_tensor_cores_torch_multiplies(tensor_cores):
    torch.backends.cuda.matmul.fp32_precision = "ieee"
    layer, p, _ = build("linear")
    layer(p)
    assert not tensor_cores
