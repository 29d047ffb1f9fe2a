"""torch's transforms and formats: compile, export, per-sample gradients, autocast, channels-last."""

import shutil

import pytest
import torch
from torch import nn
from torch.autograd import forward_ad
from torch.func import functional_call, grad, jvp, vmap

from conductance.models import create_model
from conductance.nn import AbsNormConv2d, AbsNormLinear, CWAConv1d, CWAConv2d, CWALinear

LAYERS = {
    "linear": (lambda: CWALinear(6, 4, activation="relu"), (5, 6)),
    "linear, mixed order": (lambda: CWALinear(6, 4, valence=[1, -1, 1, -1, 0.5, 1]), (5, 6)),
    "linear, many valences": (lambda: CWALinear(12, 4, valence=[i / 5.5 - 1 for i in range(12)]), (5, 12)),
    "linear, doubled": (lambda: CWALinear(6, 4, doubled_input=True, learn_resting=True, activation="relu"), (5, 6)),
    "conv1d": (lambda: CWAConv1d(4, 6, 3, activation="relu"), (2, 4, 9)),
    "conv": (lambda: CWAConv2d(4, 6, 3, 2, 1, activation="relu"), (2, 4, 8, 8)),
    "conv, doubled": (lambda: CWAConv2d(3, 6, 5, 2, 2, doubled_input=True, activation="relu"), (2, 3, 8, 8)),
    "conv, groups": (lambda: CWAConv2d(4, 6, 3, groups=2), (2, 4, 8, 8)),
    "linear, pooled": (lambda: CWALinear(6, 4, pooled_interneuron=True), (5, 6)),
    "conv, pooled": (lambda: CWAConv2d(4, 6, 3, pooled_interneuron=True, learn_gate=True), (2, 4, 8, 8)),
    "absnorm": (lambda: AbsNormLinear(6, 4, activation="relu"), (5, 6)),
    "absnorm conv": (lambda: AbsNormConv2d(4, 6, 3, activation="relu"), (2, 4, 8, 8)),
}

# torch's own modules warn of their future; the layers' results are compared, not their silence
ignore_torch_internals = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def gradients(layer, result):
    return torch.autograd.grad(result.square().sum(), list(layer.parameters()))


@ignore_torch_internals
@pytest.mark.parametrize("name", LAYERS)
def test_compiles_as_one_graph_forward_and_backward(name):
    build, shape = LAYERS[name]
    layer, p = build(), torch.rand(shape)
    torch._dynamo.reset()
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(p), layer(p))
    torch.testing.assert_close(gradients(layer, compiled(p)), gradients(layer, layer(p)))


@ignore_torch_internals
@pytest.mark.skipif(shutil.which("g++") is None and shutil.which("clang++") is None, reason="needs a C++ compiler")
def test_compiled_code_gives_the_same_numbers():
    """C++ is compiled, which takes up to twenty seconds the first time."""
    model = create_model("cnn", "cwa", (1, 8, 8), 10, widths=(4, 6))
    images = torch.rand(3, 1, 8, 8)
    torch._dynamo.reset()
    compiled = torch.compile(model, fullgraph=True)
    torch.testing.assert_close(compiled(images), model(images))
    torch.testing.assert_close(gradients(model, compiled(images)), gradients(model, model(images)))


@ignore_torch_internals
@pytest.mark.parametrize("name", LAYERS)
def test_exports_with_any_batch_size(name):
    build, shape = LAYERS[name]
    layer, p = build(), torch.rand(shape)
    batch = torch.export.Dim("batch", min=2, max=64)
    exported = torch.export.export(layer, (p,), dynamic_shapes=({0: batch},)).module()
    other = torch.rand(shape[0] + 2, *shape[1:])
    torch.testing.assert_close(exported(other), layer(other))


@pytest.mark.parametrize("name", LAYERS)
def test_gradients_of_single_samples_add_up_to_the_batch(name):
    build, shape = LAYERS[name]
    layer, p = build(), torch.rand(shape)
    parameters = dict(layer.named_parameters())

    def loss(parameters, sample):
        return functional_call(layer, parameters, (sample[None],)).square().sum()

    per_sample = vmap(grad(loss), (None, 0))(parameters, p)
    total = dict(zip(parameters, gradients(layer, layer(p)), strict=True))
    for key, value in per_sample.items():
        assert len(value) == len(p)
        torch.testing.assert_close(value.sum(0), total[key])


def test_second_derivatives_through_functorch():
    layer = CWALinear(4, 2, dtype=torch.float64)
    p = torch.rand(3, 4, dtype=torch.float64)
    loss = lambda g: functional_call(layer, {"g": g}, (p,)).square().sum()  # noqa: E731
    hessian = torch.func.jacrev(torch.func.jacrev(loss))(layer.g.detach())
    torch.testing.assert_close(hessian, torch.autograd.functional.hessian(loss, layer.g.detach()))


def images_like_real_ones(*shape):
    """Mostly dark, smooth, all of one sign: what makes E and I large and alike."""
    coarse = torch.rand(shape[0], shape[1], 7, 7)
    return (nn.functional.interpolate(coarse, size=shape[2:], mode="bilinear") * 1.3 - 0.3).clamp(0, 1)


@pytest.mark.parametrize("architecture", ["fcn", "cnn", "resnet18"])
@pytest.mark.parametrize("drawn", ["glorot", "lognormal"])
def test_bf16_autocast_keeps_first_layers_at_initialization(architecture, drawn):
    from conductance import init

    model = create_model(architecture, "cwa", (3, 32, 32), 10)
    first = next(init.conductance_layers(model))
    if drawn == "lognormal":
        init.lognormal_(first)
    first.activation = None
    images = images_like_real_ones(16, 3, 32, 32)
    p = images.flatten(1) if architecture == "fcn" else images
    exact = first(p)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = first(p)
    assert rounded.dtype == torch.bfloat16
    correlation = torch.corrcoef(torch.stack([exact.flatten(), rounded.float().flatten()]))[0, 1]
    assert correlation > 0.999


def test_the_plain_product_would_lose_it():
    """The trap that the split product repairs: E' and I' rounded to bf16 before their difference is taken."""
    layer = CWALinear(3072, 200, doubled_input=True)
    p = images_like_real_ones(16, 3, 32, 32).flatten(1)
    E, I = (value.bfloat16().float() for value in layer.excitation_inhibition(p))
    z = layer(p)
    correlation = torch.corrcoef(torch.stack([z.flatten(), ((E - I) / (E + I)).flatten()]))[0, 1]
    assert correlation < 0.99


@pytest.mark.parametrize("name", LAYERS)
def test_gradients_under_autocast_point_the_same_way(name):
    build, shape = LAYERS[name]
    layer, p = build(), torch.rand(shape)
    layer.activation = None  # by chance all units of a small layer are closed
    exact = torch.cat([g.flatten() for g in gradients(layer, layer(p))])
    with torch.autocast("cpu", torch.bfloat16):
        result = layer(p)
    rounded = torch.cat([g.flatten() for g in gradients(layer, result.float())])
    assert nn.functional.cosine_similarity(exact, rounded, dim=0) > 0.99


def test_channels_last_stays_channels_last():
    layer = CWAConv2d(4, 6, 3, padding=1, activation="relu")
    p = torch.rand(2, 4, 8, 8)
    strided = p.to(memory_format=torch.channels_last)
    result = layer.to(memory_format=torch.channels_last)(strided)
    assert result.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(result, layer(p))


def test_layers_move_between_devices_and_types_with_all_they_hold():
    layer = CWALinear(6, 4, valence=[1, -1, 1, -1, 0.5, 1], learn_resting=True)
    meta = layer.to("meta")
    assert meta(torch.rand(2, 6, device="meta")).shape == (2, 4)
    assert CWAConv2d(4, 6, 3, device="meta").g.is_meta


@ignore_torch_internals
@pytest.mark.parametrize("name", LAYERS)
def test_derivatives_taken_forward_are_those_taken_backward(name):
    build, shape = LAYERS[name]
    layer, p, tangent = build().double(), torch.rand(shape).double(), torch.rand(shape).double()
    result, forward = jvp(layer, (p,), (tangent,))
    torch.testing.assert_close(result, layer(p))
    p.requires_grad_()
    slope = torch.rand_like(result)
    (backward,) = torch.autograd.grad(layer(p), p, slope)
    torch.testing.assert_close((forward * slope).sum(), (backward * tangent).sum())
    with forward_ad.dual_level():
        dual = layer(forward_ad.make_dual(p.detach(), tangent))
        torch.testing.assert_close(forward_ad.unpack_dual(dual).tangent, forward)


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_traced_layer_takes_any_batch(dtype):
    layer, p = CWAConv2d(4, 6, 3, activation="relu").to(dtype), torch.rand(300, 4, 8, 8).to(dtype)
    with torch.no_grad():
        traced = torch.jit.trace(layer, p[:2])
        torch.testing.assert_close(traced(p), layer(p))


def test_float64_stays_so_within_autocast():
    layer, p = CWALinear(6, 4).double(), torch.rand(5, 6).double()
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(layer(p), layer(p).double())
        inside = layer(p)
    torch.testing.assert_close(inside, layer(p))


@pytest.mark.parametrize("name", ["linear", "linear, doubled"])
def test_backward_of_linear_layers_within_autocast_is_that_outside(name):
    build, shape = LAYERS[name]
    layer, p = build(), torch.rand(shape)
    outside = gradients(layer, layer(p))
    result = layer(p)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(gradients(layer, result), outside)


def test_float16_has_gradients_where_its_own_numbers_end():
    layer, p = CWALinear(3072, 8, doubled_input=True), torch.rand(4, 3072)
    layer.set_conductance(80 * torch.rand_like(layer.g))
    exact = torch.autograd.grad(layer(p).sum(), layer.g)[0]
    with torch.autocast("cpu", torch.float16):
        result = layer(p)
    (half,) = torch.autograd.grad(2.0**14 * result.float().sum(), layer.g)  # scaled, as a GradScaler does
    torch.testing.assert_close(half / 2.0**14, exact, rtol=0.02, atol=0.02 * exact.abs().mean().item())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_without_leak_and_input_a_unit_rests_in_any_precision(dtype):
    layer = CWALinear(8, 4, resting_conductance=0.0, resting_potential=0.5, dtype=dtype)
    torch.testing.assert_close(layer(torch.zeros(3, 8, dtype=dtype)), torch.full((3, 4), 0.5, dtype=dtype))


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_made_on_no_device_is_filled_from_a_state_dict(name):
    build, shape = LAYERS[name]
    layer, p = build(), torch.rand(shape)
    with torch.device("meta"):
        empty = build()
    assert repr(empty) == repr(layer)
    filled = empty.to_empty(device=p.device)
    filled.load_state_dict(layer.state_dict())
    torch.testing.assert_close(filled(p), layer(p))
    with torch.device("meta"):
        drawn = build().to_empty(device=p.device)
    drawn.reset_parameters()
    assert bool(drawn(p).abs().max() <= 1)
    torch.testing.assert_close(drawn.resting_potential, layer.resting_potential)
