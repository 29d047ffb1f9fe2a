"""Every compiled path reads and writes tensors wherever they lie: turned, sliced, repeated, out of line, empty."""

import copy
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import reference
from conductance import kernels
from conductance.kernels import SplitSums, convolution, linear, native, rounded, splitting
from conductance.nn import CWAConv1d, CWAConv2d, CWAConv3d, CWALinear
from conductance.optim import ConductanceOptimizer

pytestmark = [
    pytest.mark.usefixtures("any_average"),
    pytest.mark.skipif(native.library() is None, reason="needs a C++ compiler"),
]

TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-4, torch.bfloat16: 0.04}
random_layouts = settings(
    deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@pytest.fixture(autouse=True)
def _small_is_large(monkeypatch):
    """Small tensors take the way of large ones."""
    monkeypatch.setattr(native, "LEAST", 1)
    monkeypatch.setattr(linear, "LEAST", 1)
    monkeypatch.setattr(convolution, "LEAST_UNITS", 1)
    monkeypatch.setattr(convolution, "LEAST_CHANNELS", 1)
    kernels.use_average("native")


# Layouts --------------------------------------------------------------------------------------------------------------


def turned(draw, values):
    order = draw(st.permutations(range(values.ndim)))
    return values.permute(order).contiguous().permute(sorted(range(values.ndim), key=order.__getitem__))


def sliced(draw, values):
    """Every second number along some axes of a larger tensor, or all but the first ones; NaN lies around them."""
    first, step = (draw(st.tuples(*[st.integers(low, 2)] * values.ndim)) for low in (0, 1))
    room = values.new_full([a + b * size for a, b, size in zip(first, step, values.shape, strict=True)], float("nan"))
    view = room[tuple(slice(a, None, b) for a, b in zip(first, step, strict=True))]
    return view.copy_(values)


def out_of_line(draw, values):
    """Not where a vector of numbers would start."""
    first = draw(st.integers(1, 3))
    return values.new_full([first + values.numel()], float("nan"))[first:].view(values.shape).copy_(values)


def repeated(draw, values):
    """Stride 0."""
    axis = draw(st.integers(0, values.ndim - 1))
    return values.narrow(axis, 0, min(1, values.shape[axis])).expand_as(values)


def channels_last(_, values):
    return values.contiguous(memory_format=torch.channels_last) if values.ndim == 4 else values


def any_stride_of_one(_, values):
    """What a stride is where there is a single number along an axis means nothing."""
    values = values.contiguous()
    strides = [7 if size == 1 else stride for size, stride in zip(values.shape, values.stride(), strict=True)]
    return values.as_strided(values.shape, strides)


LAYOUTS = (lambda _, values: values, turned, sliced, out_of_line, repeated, channels_last, any_stride_of_one)


class Room:
    """Draws tensors of random numbers in random layouts."""

    def __init__(self, draw):
        self.draw = draw
        self.generator = torch.Generator().manual_seed(draw(st.integers(0, 2**16)))

    def positive(self, *shape, dtype=torch.float32):
        """From 0.1 to 1.1."""
        return self.lay(torch.rand(shape, generator=self.generator).add(0.1).to(dtype))

    def any_sign(self, *shape, dtype=torch.float32):
        return self.lay(torch.randn(shape, generator=self.generator).to(dtype))

    def lay(self, values):
        return self.draw(st.sampled_from(LAYOUTS))(self.draw, values)

    def lay_beside(self, other, values):
        """As another tensor lies, or anew; no number has two places, for they will be changed."""
        if self.draw(st.booleans()):
            last = sum((size - 1) * stride for size, stride in zip(other.shape, other.stride(), strict=True))
            return values.new_full([last + 1], float("nan")).as_strided(other.shape, other.stride()).copy_(values)
        laid = self.lay(values)
        return values if 0 in laid.stride() else laid


KERNELS = st.sampled_from(["native", "native", "blocked"])
SIZES = st.sampled_from([0, 1, 1, 2, 3, 8, 17])
POSITIONS = st.sampled_from([(), (), (1,), (3,), (2, 4), (1, 1), (0, 2), (3, 1), (2, 1, 3)])


@st.composite
def shapes(draw):
    """Rows, units, positions and the axis of the units."""
    positions = draw(POSITIONS)
    return draw(SIZES), draw(st.sampled_from([1, 2, 5, 16])), positions, -1 - len(positions)


def exact(tensor):
    return None if tensor is None else tensor.detach().double().contiguous().requires_grad_()


def assert_near(found, wanted, dtype):
    """As near as numbers of this type can be, relative to the largest."""
    found, wanted = found.detach().double(), wanted.detach()
    assert found.shape == wanted.shape
    size = 1 + float(wanted.abs().max()) if wanted.numel() else 0
    assert bool(((found - wanted).abs() <= TOLERANCE[dtype] * size).all())


def assert_like(found, wanted, leaves, exact_leaves, room, dtype=None):
    """The result, and its gradients from a slope of any layout."""
    dtype = dtype or found.dtype
    assert_near(found, wanted, dtype)
    slope = room.any_sign(*found.shape, dtype=found.dtype)
    mine = torch.autograd.grad(found, leaves, slope)
    for got, want in zip(mine, torch.autograd.grad(wanted, exact_leaves, slope.double()), strict=True):
        assert_near(got, want, dtype)


# The average ----------------------------------------------------------------------------------------------------------


def potential(both, axis):
    E, I = both.chunk(2, axis)
    return (E - I) / (E + I)


def drawn_sums(data, shape, dtype, kernel):
    """Room, axis, E' and I', and the same in float64; the kernel is chosen."""
    room = Room(data.draw)
    kernels.use_average(kernel)
    rows, units, positions, axis = shape
    both = room.positive(rows, 2 * units, *positions, dtype=dtype).requires_grad_()
    return room, axis, both, exact(both)


def opened(z, found, rectify):
    """p, of the units that are open in the result, for rounding decides it at z = 0."""
    return z * (found > 0) if rectify else z


@random_layouts
@given(st.data(), shapes(), st.sampled_from([torch.float32, torch.float64]), st.booleans(), KERNELS)
def test_averages(data, shape, dtype, rectify, kernel):
    room, axis, both, leaf = drawn_sums(data, shape, dtype, kernel)
    found = kernels.average(both, axis, rectify)
    E, I = leaf.detach().chunk(2, axis)
    plain = potential(leaf, axis)
    np.testing.assert_allclose(
        plain.detach().numpy(), reference.potential(E.numpy(), I.numpy()), rtol=1e-12, atol=1e-12
    )
    with torch.no_grad():
        assert_near(kernels.average(both, axis, rectify), found.detach().double(), dtype)
    assert_like(found, opened(plain, found, rectify), [both], [leaf], room)


@random_layouts
@given(st.data(), shapes(), st.sampled_from([torch.float32, torch.float64]), st.booleans(), KERNELS)
def test_averages_with_a_pooled_interneuron(data, shape, dtype, rectify, kernel):
    room, axis, both, leaf = drawn_sums(data, shape, dtype, kernel)
    found = kernels.pooled_average(both, axis, rectify)
    z = potential(leaf, axis)
    mean = z.mean(axis, keepdim=True)
    plain = (z - mean) / (1 + mean.abs())
    np.testing.assert_allclose(plain.detach().numpy(), reference.pooled(z.detach().numpy()), rtol=1e-12, atol=1e-12)
    with torch.no_grad():
        assert_near(kernels.pooled_average(both, axis, rectify), found.detach().double(), dtype)
    assert_like(found, opened(plain, found, rectify), [both], [leaf], room)


@random_layouts
@given(st.data(), shapes(), st.sampled_from([torch.float32, torch.float64]))
def test_averages_at_the_end_of_a_residual_block(data, shape, dtype):
    room = Room(data.draw)
    rows, units, positions, axis = shape
    both = room.positive(rows, 2 * units, *positions, dtype=dtype).requires_grad_()
    shortcut = room.positive(rows, units, *positions, dtype=dtype).requires_grad_()
    leaves = exact(both), exact(shortcut)
    found = kernels.joined_average(both, shortcut, axis)
    wanted = opened((potential(leaves[0], axis) + leaves[1]) / 2, found, True)
    assert_like(found, wanted, [both, shortcut], leaves, room)


@random_layouts
@given(
    st.data(), shapes(), st.sampled_from([(torch.bfloat16, torch.float32), (torch.float32, torch.float64)]),
    st.sampled_from([1, 2]), st.booleans(), st.sampled_from(["average", "pooled", "joined"]), st.booleans(), KERNELS
)  # fmt: skip
def test_averages_of_sums_in_parts(data, shape, types, width, rectify, what, learns, kernel):
    room = Room(data.draw)
    kernels.use_average(kernel)
    (rows, units, positions, axis), (dtype, wide) = shape, types
    rest = room.positive(rows, 2 * units, *positions, dtype=dtype).requires_grad_()
    shared = room.positive(rows, width, *positions, dtype=wide).requires_grad_()
    common, leak = room.positive(2 * units, dtype=wide), room.positive(2 * units).requires_grad_(learns)
    shortcut = room.positive(rows, units, *positions, dtype=dtype).requires_grad_(what == "joined")
    parts = SplitSums(rest, shared, common, leak)
    of_rest, of_shared, of_leak, of_shortcut = leaves = [*map(exact, (rest, shared, leak, shortcut))]
    along = lambda values: values.double().view(-1, *[1] * len(positions))  # noqa: E731
    both = of_rest + of_shared.repeat_interleave(2 * units // width, axis) * along(common) + along(of_leak)
    z = potential(both, axis)
    if what == "average":
        found = kernels.average(parts, axis, rectify)
        wanted = opened(z, found, rectify)
    elif what == "pooled":
        found = kernels.pooled_average(parts, axis, rectify)
        mean = z.mean(axis, keepdim=True)
        wanted = opened((z - mean) / (1 + mean.abs()), found, rectify)
    else:
        found = kernels.joined_average(parts, shortcut, axis)
        wanted = opened((z + of_shortcut) / 2, found, True)
    mine = [rest, shared, leak, shortcut]
    used = [each for each, tensor in enumerate(mine) if tensor.requires_grad]
    assert_like(found, wanted, [mine[each] for each in used], [leaves[each] for each in used], room)


# The products ---------------------------------------------------------------------------------------------------------


@random_layouts
@given(st.data(), st.sampled_from(["float32", "rounded", "doubled"]), SIZES, SIZES, SIZES, st.booleans(), st.booleans())
def test_linear_products(data, products, rows, units, fan_in, shared, dtype_of_p):
    """By torch, of rounded factors, and by sum and difference."""
    room, rounds = Room(data.draw), products == "rounded"
    shared = shared or products == "doubled"
    p = room.positive(rows, fan_in, dtype=torch.bfloat16 if rounds and dtype_of_p else torch.float32)
    columns = fan_in * (2 if shared else 1)
    excitatory = fan_in if shared else data.draw(st.integers(0, fan_in))
    G, leak = room.positive(units, columns).requires_grad_(), room.positive(2, units).requires_grad_()
    p = p.requires_grad_() if products != "doubled" else p
    leaves = [*map(exact, (p, G, leak))]
    wanted = linear.formula(*leaves, excitatory)
    if rounds and not rounded.serves(p, G):
        return
    found = kernels.paired_linear(p, G, leak, excitatory, rounds=rounds)
    mine = [p, G, leak]
    used = [each for each, tensor in enumerate(mine) if tensor.requires_grad]
    slope = room.any_sign(*found.shape)
    gradients = torch.autograd.grad(found, [mine[each] for each in used], slope)
    right = torch.autograd.grad(wanted, [leaves[each] for each in used], slope.double())
    by_difference = products == "doubled" and linear._is_doubled(p, G)
    tolerance = torch.bfloat16 if rounds or by_difference else torch.float32
    for got, want in zip((found, *gradients), (wanted, *right), strict=True):
        assert_near(got, want, tolerance)


@random_layouts
@given(st.data(), shapes(), st.integers(1, 2), st.sampled_from([torch.bfloat16, torch.float32]))
def test_sums_over_channels_and_what_is_common_to_conductances(data, shape, kinds, dtype):
    room, (rows, channels, positions, axis) = Room(data.draw), shape
    p = room.positive(rows, kinds * channels, *positions, dtype=dtype).requires_grad_()
    leaf = exact(p)
    same, sums = splitting.with_sums(p, kinds, axis, torch.float32)
    wanted = splitting.formula(leaf, kinds, axis, torch.float64)
    assert_near(sums, wanted, torch.float32)
    slopes = room.any_sign(*p.shape, dtype=dtype), room.any_sign(*sums.shape)
    (found,) = torch.autograd.grad([same, sums], p, slopes)
    (right,) = torch.autograd.grad([leaf * 1, wanted], leaf, [slope.double() for slope in slopes])
    assert_near(found, right, dtype)

    kinds = 1 if positions else kinds
    G = room.positive(rows, kinds * channels, *positions).requires_grad_()
    common, rest = splitting.common_and_rest(G, kinds, torch.bfloat16)
    stacked = torch.cat(exact(G).chunk(kinds, 1))
    assert_near(common, splitting.common_to_rows(stacked.flatten(1)), torch.float32)
    assert_near(rest + common.view(-1, *[1] * (G.ndim - 1)), stacked, torch.bfloat16)
    slope = room.any_sign(*rest.shape, dtype=torch.bfloat16)
    (found,) = torch.autograd.grad(rest, G, slope)
    assert_near(found, torch.cat(slope.double().chunk(kinds), 1), torch.float32)


# Layers ---------------------------------------------------------------------------------------------------------------

LAYERS = {
    "linear": lambda: CWALinear(6, 4, activation=None),
    "linear, unequal kinds": lambda: CWALinear(6, 4, activation=None, excitatory_share=2 / 3),
    "linear, doubled": lambda: CWALinear(5, 4, activation=None, doubled_input=True),
    "linear, pooled": lambda: CWALinear(6, 4, activation=None, pooled_interneuron=True),
    "conv2d, pooled": lambda: CWAConv2d(4, 6, 3, padding=1, activation=None, pooled_interneuron=True),
    "conv1d": lambda: CWAConv1d(4, 6, 3, padding=1, activation=None),
    "conv2d": lambda: CWAConv2d(4, 6, 3, 2, 1, activation=None),
    "conv2d, sorted": lambda: CWAConv2d(4, 16, 5, padding=2, activation=None),
    "conv2d, doubled": lambda: CWAConv2d(3, 4, 3, activation=None, doubled_input=True),
    "conv2d, groups": lambda: CWAConv2d(4, 6, 3, groups=2, activation=None),
    "conv2d, one position": lambda: CWAConv2d(4, 6, 4, activation=None),
    "conv3d": lambda: CWAConv3d(4, 3, 2, activation=None),
}


def in_rows(saved):
    """As hooks bring back what backward needs, which do not keep strides."""
    return saved.clone(memory_format=torch.contiguous_format)


def check_layer(room, layer, p, half):
    """In float32, or in autocast to bfloat16, with a residual block's shortcut perhaps."""
    layer.g = torch.nn.Parameter(room.positive(*layer.g.shape))
    double, leaves = copy.deepcopy(layer).double(), [exact(p)]
    double.g = torch.nn.Parameter(exact(layer.g))
    kernels.use_average("formula")
    wanted = double(leaves[0])
    kernels.use_average("native")
    if len(p):
        np.testing.assert_allclose(wanted.detach().numpy(), transcribed(double, leaves[0]), atol=1e-12)

    shortcut = room.positive(*wanted.shape, dtype=torch.bfloat16 if half else torch.float32).requires_grad_()
    shortcut = shortcut if layer.takes_shortcut and room.draw(st.booleans()) else None
    put_away = torch.autograd.graph.saved_tensors_hooks(torch.clone, in_rows)
    mine, leaves = [p.requires_grad_(), layer.g], [*leaves, double.g]
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        with put_away if room.draw(st.booleans()) else nullcontext():
            found = layer(p, shortcut=shortcut)
        with torch.no_grad():
            alone = layer(p, shortcut=shortcut)
    if shortcut is not None:
        mine, leaves = [*mine, shortcut], [*leaves, exact(shortcut)]
        wanted = opened((wanted + leaves[-1]) / 2, found, True)
    assert_near(alone, wanted, torch.bfloat16 if half else torch.float32)
    assert_like(found, wanted, mine, leaves, room, torch.bfloat16 if half else torch.float32)


def transcribed(layer, p):
    if layer.pooled_interneuron:
        layer = copy.deepcopy(layer)
        layer.pooled_interneuron = False
        return reference.pooled(transcribed(layer, p))
    arguments = [p, layer.conductance, layer.valence, layer.resting_conductance, layer.resting_potential]
    arguments = [*(each.detach().numpy() for each in arguments), layer.presynaptic.doubled_input]
    if not layer.convolution:
        return reference.cwa_linear(*arguments)
    return reference.cwa_conv(
        *arguments, *(layer.convolution[each] for each in ("stride", "padding", "dilation", "groups"))
    )


@random_layouts
@given(st.data(), st.sampled_from(sorted(LAYERS)), st.sampled_from([0, 1, 3]), st.booleans())
def test_layers(data, name, rows, half):
    room, layer = Room(data.draw), LAYERS[name]()
    check_layer(room, layer, room.positive(rows, layer.in_channels, *[4] * (layer.g.ndim - 2)), half)


@random_layouts
@given(st.data(), st.sampled_from([name for name in LAYERS if "conv2d" in name]), st.booleans())
def test_convolutions_of_images_with_the_channels_last(data, name, half):
    room, layer = Room(data.draw), LAYERS[name]()
    p = torch.rand(3, layer.in_channels, 4, 4, generator=room.generator)
    check_layer(room, layer, p.contiguous(memory_format=torch.channels_last), half)


# Steps of the optimizer -----------------------------------------------------------------------------------------------


@random_layouts
@given(
    st.data(), st.sampled_from(["adam", "sgd", "muon"]), st.sampled_from([None, 0.0, 0.3]), st.booleans(),
    st.sampled_from([(6, 8), (1, 7), (4, 1), (5, 4, 3), (6, 4, 3, 3), (2, 2, 1, 3), (3, 2, 2, 1, 2)])
)  # fmt: skip
def test_steps_of_the_optimizer(data, rule, least, kinds, shape):
    """Parameters, gradients and loaded states of any layout; Muon is compared with itself in float64, in one piece."""
    room = Room(data.draw)
    start = room.positive(*shape)
    parameter = torch.nn.Parameter(start.contiguous() if 0 in start.stride() else start)  # no number has two places
    wanted = torch.nn.Parameter(parameter.detach().double().contiguous())
    kinds = (1, shape[1] - 1) if kinds and shape[1] > 1 else None
    options = {"rule": rule, "lr": 0.1, "betas": (0.9, 0.99), "least": least, "block": 4, "kinds": kinds}
    optimizer, exactly = (ConductanceOptimizer([each], **options) for each in (parameter, wanted))
    means, square = np.zeros(shape), np.zeros(shape)
    for number in range(1, 4):
        parameter.grad = room.any_sign(*shape)
        gradient = parameter.grad.double().contiguous()
        optimizer.step()
        if rule == "muon":
            wanted.grad = gradient
            exactly.step()
        else:
            arguments = wanted.detach().numpy(), gradient.numpy(), means
            if rule == "adam":
                after, means, square = reference.adam(*arguments, square, number, 0.1, 0.9, 0.99, 1e-8)
            else:
                after, means = reference.nesterov(*arguments, 0.1, 0.9)
            wanted.data = torch.from_numpy(after if least is None else np.maximum(after, least))
        assert_near(parameter.detach(), wanted.detach(), torch.float32)
        saved = optimizer.state_dict()
        for name, own in saved["state"][0].items():
            saved["state"][0][name] = room.lay_beside(parameter, own) if own.ndim else own
        optimizer.load_state_dict(saved)
