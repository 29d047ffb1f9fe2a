"""Layers whose kernels are Triton's: the numbers of float64, whatever asks for them."""

from copy import deepcopy

import pytest
import torch

from conductance import kernels
from conductance.kernels import averaging
from conductance.kernels.gpu import operators
from conductance.nn import AbsNormLinear, ConductanceLayer, CWAConv1d, CWAConv2d, CWALinear, LateralLinear
from triton_tests import BF16, DEVICE, EPS, F32, close

pytestmark = pytest.mark.usefixtures("on_triton")

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
    inner = operators.averaged_product
    monkeypatch.setattr(operators, "averaged_product", lambda *given: taken.append(given) or inner(*given))
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    yield taken
    torch.set_float32_matmul_precision(before)


def build(name, learn=True):
    make, shape, averages = LAYERS[name]
    layer, p = make(), torch.rand(shape)
    if len(shape) == 4:
        p = p.to(memory_format=torch.channels_last)
    if learn and isinstance(layer, ConductanceLayer):
        layer.leak.pair = torch.nn.Parameter(layer.leak.pair)
    return layer.to(DEVICE), p.to(DEVICE).requires_grad_(), averages


@pytest.mark.usefixtures("any_average")
@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("name", LAYERS)
def test_layers_give_the_numbers_of_float64(name, half, tensor_cores):
    layer, p, averages = build(name)
    exact, right = deepcopy(layer).double(), p.detach().double().requires_grad_()
    with torch.autocast(DEVICE, BF16, enabled=half):
        z = layer(p)
    pooled = getattr(layer, "pooled_interneuron", False)  # which in half precision takes z as it was before rounding
    assert bool(tensor_cores) == (averages and not (half and pooled))
    kernels.use_average("formula")
    wanted = exact(right)
    eps = 4 * EPS[BF16] if half else 1e-3 if DEVICE == "cuda" else 1e-5
    close(z, wanted, eps, least=1)
    grad = torch.randn(z.shape, device=DEVICE).masked_fill((wanted.detach() <= 0) | (z.detach() <= 0), 0)
    gradients_wanted = torch.autograd.grad(wanted, [right, *exact.parameters()], grad.double())
    kernels.use_average(None)
    found = torch.autograd.grad(z, [p, *layer.parameters()], grad.to(z.dtype))
    for got, want in zip(found, gradients_wanted, strict=True):
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
def test_compiled_layers_give_the_same_by_the_same_kernels(name, monkeypatch):
    from conductance.kernels.gpu import average  # needs Triton

    layer, p, averages = build(name)
    compiled, backward, gradient = torch.compile(layer, backend="aot_eager", fullgraph=True), [], average.gradient
    with monkeypatch.context() as patch:
        patch.setattr(average, "gradient", lambda *given: backward.append(given) or gradient(*given))
        found = gradients(compiled, layer, p)
    assert bool(backward) == averages
    for got, want in zip(found, gradients(layer, layer, p), strict=True):
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
    torch.set_float32_matmul_precision("highest")
    layer, p, _ = build("linear")
    layer(p)
    assert not tensor_cores
