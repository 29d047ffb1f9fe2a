"""What a layer is by default: safe under any optimizer, alive at the start, ready for the next layer."""

import inspect

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import prune

from conductance import functional, init
from conductance.errors import InputError
from conductance.nn import (
    AbsNormConv2d,
    AbsNormLinear,
    CWAConv1d,
    CWAConv2d,
    CWAConv3d,
    CWALinear,
    Gate,
    LateralConv2d,
    LateralLinear,
)
from conductance.nonnegative import NONNEGATIVE, clamped

LAYERS = [CWALinear, CWAConv1d, CWAConv2d, CWAConv3d, AbsNormLinear, AbsNormConv2d, LateralLinear, LateralConv2d]
OPTIMIZERS = {
    "Adam": lambda p: torch.optim.Adam(p, 0.5),
    "AdamW, decay": lambda p: torch.optim.AdamW(p, 0.5, weight_decay=1.0),
    "SGD": lambda p: torch.optim.SGD(p, 50.0, momentum=0.9),
    "RMSprop": lambda p: torch.optim.RMSprop(p, 0.5),
    "NAdam": lambda p: torch.optim.NAdam(p, 0.5),
    "Adagrad": lambda p: torch.optim.Adagrad(p, 5.0),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("form", ["clamped", "rectified", "softplus"])
def test_no_optimizer_can_make_a_conductance_negative(optimizer, form):
    torch.manual_seed(0)
    model = nn.Sequential(CWALinear(6, 8, nonnegative=form), CWALinear(8, 4, nonnegative=form, learn_resting=True))
    steps = OPTIMIZERS[optimizer](model.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        steps, [g["lr"] for g in steps.param_groups], 8, cycle_momentum=False
    )
    for _ in range(8):
        steps.zero_grad()
        nn.functional.cross_entropy(model(torch.rand(16, 6)), torch.randint(4, (16,))).backward()
        steps.step()
        schedule.step()
    for layer in model:
        assert bool((layer.conductance >= 0).all())
        assert bool((layer.resting_conductance > 0).all())
    assert model(torch.rand(9, 6)).abs().max() <= 1
    if form == "clamped":
        assert bool((model[0].g < 0).any()), "these steps were large enough to try"


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # by torch's own jvp
@given(st.lists(st.floats(-2, 2, allow_subnormal=False), min_size=1, max_size=9))
def test_a_clamped_conductance_is_max_g_0_and_hands_its_gradient_on(values):
    g = torch.tensor(values, dtype=torch.float64, requires_grad=True)
    weights = torch.randn_like(g)
    (gradient,) = torch.autograd.grad((clamped(g) * weights).sum(), g)
    assert torch.equal(clamped(g), g.clamp(min=0))
    assert torch.equal(gradient, weights)
    _, tangent = torch.func.jvp(clamped, (g.detach(),), (weights,))
    assert torch.equal(tangent, weights)
    batched = torch.func.vmap(torch.func.grad(lambda x: (clamped(x) * weights).sum()))(torch.stack([g.detach()] * 3))
    assert torch.equal(batched, weights.expand(3, -1))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_it_compiles_to_the_same():
    layer, p = CWALinear(6, 4), torch.rand(5, 6)
    with torch.no_grad():
        layer.g[:, ::2] = -0.5
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(p), layer(p))
    (wanted,) = torch.autograd.grad(layer(p).square().sum(), layer.g)
    (found,) = torch.autograd.grad(compiled(p).square().sum(), layer.g)
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("form", NONNEGATIVE)
@pytest.mark.filterwarnings("ignore:nonnegative=")
def test_a_pruned_synapse_conducts_nothing(form):
    layer = CWALinear(8, 4, nonnegative=form)
    prune.l1_unstructured(layer, "g", 0.5)
    p = torch.rand(2, 8)
    result = layer(p)
    G = layer.conductance
    assert G[layer.g_mask == 0].abs().max() == 0
    wanted = functional.cwa(p, G, resting_conductance=layer.resting_conductance, activation="relu")
    torch.testing.assert_close(result, wanted)
    result.sum().backward()
    assert layer.g_orig.grad[layer.g_mask == 0].abs().max() == 0


# The start ------------------------------------------------------------------------------------------------------------


SHAPES = [
    lambda **o: CWALinear(20, 11, **o),
    lambda **o: CWALinear(9, 12, doubled_input=True, **o),
    lambda **o: CWAConv2d(6, 8, 3, groups=2, **o),
    lambda **o: CWAConv2d(3, 10, 5, doubled_input=True, **o),
    lambda **o: CWAConv1d(1, 8, 3, **o),
    lambda **o: CWAConv3d(4, 6, 2, **o),
    lambda **o: CWALinear(8, 6, valence=[1, 0.5, 0.2, 1, -0.4, -0.8, -1, -0.1], **o),
]


@settings(max_examples=10)
@given(st.integers(0, 1000))
@pytest.mark.parametrize("build", SHAPES)
def test_every_shape_starts_with_as_much_inhibition_as_excitation(build, seed):
    torch.manual_seed(seed)
    layer = build(dtype=torch.float64)
    G = layer.conductance.detach()
    drive = (G * layer.presynaptic.per_synapse(G)).flatten(1).sum(1)
    torch.testing.assert_close(drive, torch.zeros_like(drive), atol=1e-9, rtol=0)
    assert 0.2 < G.log().std() < 3, "heavy-tailed"


def test_inhibitory_units_start_as_twins_of_excitatory_ones():
    layer = CWALinear(10, 7, unit_valence=[1, -1, 1, 1, -1, 1, 1])
    G = layer.conductance
    assert torch.equal(G[1], G[0])
    assert torch.equal(G[4], G[2])
    assert not torch.equal(G[5], G[6])


@pytest.mark.parametrize("depth", [2, 10, 20])
@pytest.mark.parametrize("kind", ["fcn", "cnn"])
def test_a_stack_of_default_layers_tells_inputs_apart_to_its_last_layer(depth, kind):
    torch.manual_seed(0)
    if kind == "fcn":
        model = nn.Sequential(CWALinear(64, 100, doubled_input=True), *(CWALinear(100, 100) for _ in range(depth - 1)))
        p = torch.rand(200, 64)
    else:
        layers = (CWAConv2d(32, 32, 3, padding=1) for _ in range(depth - 1))
        model = nn.Sequential(CWAConv2d(1, 32, 3, padding=1), *layers)
        p = torch.rand(20, 1, 8, 8)
    with torch.no_grad():
        outputs = model(p)
    units = outputs.movedim(1, 0).flatten(1)
    assert 0.2 < (units > 0).float().mean() < 0.8
    init.glorot_(model)
    with torch.no_grad():
        from_the_papers = model(p).movedim(1, 0).flatten(1)
    assert units.std(1).mean() > 3 * from_the_papers.std(1).mean()


@pytest.mark.parametrize("fan_in", [4, 100, 3000])
def test_the_default_leak_weighs_the_same_at_any_fan_in(fan_in):
    torch.manual_seed(0)
    for layer in (CWALinear(fan_in, 50), AbsNormLinear(fan_in, 50)):
        synapses = layer.weight.detach().abs().flatten(1).sum(1).mean()
        assert 0.004 < float(layer.resting_conductance.mean() / synapses) < 0.02


# Answers to those who ask ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layer", LAYERS)
def test_signatures_are_written_out(layer):
    parameters = inspect.signature(layer).parameters.values()
    assert not [p.name for p in parameters if p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    assert {"resting_conductance", "activation", "device", "dtype"} <= {p.name for p in parameters}
    documented = inspect.getdoc(layer)
    assert documented


@pytest.mark.parametrize("layer", LAYERS)
def test_a_bias_is_answered_with_the_leak(layer):
    sizes = (4, 4) if "Linear" in layer.__name__ else (4, 4, 1)
    assert layer(*sizes, bias=False)
    with pytest.raises(InputError, match=r"bias=True: .* leak stands in that place"):
        layer(*sizes, bias=True)


@pytest.mark.parametrize("layer", [CWAConv1d, CWAConv2d, CWAConv3d, AbsNormConv2d, LateralConv2d])
def test_another_padding_is_answered_with_what_to_do(layer):
    with pytest.raises(InputError, match=r"padding_mode='reflect': .*torch\.nn\.functional\.pad"):
        layer(4, 4, 3, padding_mode="reflect")


def test_host_code_reads_weight_and_bias():
    layer = CWAConv2d(4, 6, 3, dtype=torch.float64)
    assert torch.equal(layer.weight, layer.conductance)
    assert (layer.weight.shape, layer.weight.dtype, layer.weight.device) == (
        layer.g.shape,
        torch.float64,
        layer.g.device,
    )
    assert layer.bias is None


def test_a_repr_shows_what_differs_from_the_default():
    assert repr(CWALinear(4, 3)).splitlines()[1].strip() == "4 -> 3"
    shown = repr(
        CWAConv2d(
            4, 4, 3, stride=2, nonnegative="softplus", activation=None, learn_resting=True, resting_potential=-0.4
        )
    )
    for part in ("stride=(2, 2)", "'softplus'", "activation=None", "learn_resting=True", "resting_potential=-0.4"):
        assert part in shown


def test_names_of_the_first_version_work_and_say_what_is_new():
    with pytest.warns(DeprecationWarning, match='"projected" is now "clamped"'):
        assert CWALinear(4, 3, nonnegative="projected").nonnegative == "clamped"
    with pytest.warns(DeprecationWarning, match='"exp" goes in 0.3'):
        CWALinear(4, 3, nonnegative="exp")


def test_the_function_refuses_what_makes_no_sense():
    p, G = torch.rand(2, 4), torch.rand(3, 4)
    with pytest.raises(TypeError, match="biass"):
        functional.cwa(p, G, biass=True)
    with pytest.raises(InputError, match="stride: conductances of shape"):
        functional.cwa(p, G, stride=2)


def test_a_gate_is_reset_to_the_rectification():
    gate = Gate(3)
    nn.init.uniform_(gate.threshold)
    gate.reset_parameters()
    z = torch.linspace(-1, 1, 9).view(3, 3)
    torch.testing.assert_close(gate(z), z.clamp(min=0))


# Half precision -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["half", "autocast"])
@pytest.mark.parametrize("size", [1.0, 1e3, 3e4])
@pytest.mark.parametrize("build", SHAPES[:4] + SHAPES[6:])
def test_float16_is_finite_where_float32_is(build, size, way):
    torch.manual_seed(0)
    layer = build(activation=None)
    layer.set_conductance(layer.conductance.clamp(max=2) * size)
    shape = (7, layer.in_channels) if layer.g.ndim == 2 else (2, layer.in_channels, *[6] * (layer.g.ndim - 2))
    p = torch.rand(shape)
    exact = layer(p)
    if way == "half":
        rounded = layer.half()(p.half())
    else:
        with torch.autocast("cpu", torch.float16):
            rounded = layer(p)
    assert rounded.dtype == torch.float16
    torch.testing.assert_close(rounded.float(), exact, atol=0.01, rtol=0)


def test_a_wide_float16_layer_keeps_a_ratio_of_a_third():
    layer = CWALinear(60_000, 2, activation=None, resting_conductance=0.0, excitatory_share=2 / 3)
    layer.set_conductance(torch.tensor(7.0))
    for way in (lambda: layer(torch.ones(1, 60_000)), lambda: layer.half()(torch.ones(1, 60_000).half())):
        torch.testing.assert_close(way().float(), torch.full((1, 2), 1 / 3), atol=1e-3, rtol=0)


def test_a_float16_layer_without_leak_and_input_rests():
    layer = CWALinear(4, 3, resting_conductance=0.0, activation=None).half()
    assert layer(torch.zeros(2, 4).half()).isfinite().all()
