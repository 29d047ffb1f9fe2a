"""C++ reads ordinary tensors on a CPU. Whatever else looks like one goes another way, or is refused in one line."""

import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils.flop_counter import FlopCounterMode

from conductance import kernels
from conductance.errors import InputError
from conductance.kernels import SplitSums, SynapticSum, convolution, linear, native, rounded
from conductance.kernels.convolution import PendingConvolution
from conductance.nn import AbsNormConv2d, AbsNormLinear, CWAConv2d, CWALinear

pytestmark = [
    pytest.mark.usefixtures("any_average"),
    pytest.mark.skipif(native.library() is None, reason="needs a C++ compiler"),
]


@pytest.fixture(autouse=True)
def _small_is_large(monkeypatch):
    """Small tensors take the way of large ones."""
    monkeypatch.setattr(native, "LEAST", 1)
    monkeypatch.setattr(linear, "LEAST", 1)
    for least in ("LEAST_UNITS", "LEAST_CHANNELS"):
        monkeypatch.setattr(convolution, least, 1)
    kernels.use_average("native")


LAYERS = {
    "linear": lambda: CWALinear(8, 6, activation=None),
    "linear, doubled": lambda: CWALinear(8, 6, activation=None, doubled_input=True),
    "conv2d": lambda: CWAConv2d(8, 6, 3, 2, 1, activation=None),
    "conv2d, unequal kinds": lambda: CWAConv2d(8, 6, 3, activation=None, excitatory_share=0.75),
    "conv2d, doubled": lambda: CWAConv2d(8, 6, 3, activation=None, doubled_input=True),
    "conv2d, pooled": lambda: CWAConv2d(8, 6, 3, activation=None, pooled_interneuron=True),
    "conv2d, signed": lambda: AbsNormConv2d(8, 6, 3, activation=None),
}
every_layer = pytest.mark.parametrize("name", LAYERS)
in_either_precision = pytest.mark.parametrize("half", [False, True])


def example(name, seed=0):
    torch.manual_seed(seed)
    layer = LAYERS[name]()
    positions = () if isinstance(layer, CWALinear) else (7, 5)
    p = torch.rand(4, 8, *positions)
    return layer, p.to(memory_format=torch.channels_last) if positions else p


def precision(half):
    return torch.autocast("cpu", torch.bfloat16, enabled=half)


def with_signs_apart(tensor):
    """The same numbers, their negatives in memory, as conjugated ones lie."""
    turned = torch._neg_view(-tensor)
    assert turned.is_neg()
    return turned


@every_layer
@in_either_precision
def test_what_records_operations_sees_all_of_them(name, half):
    layer, p = example(name)
    other = example(name, 1)[1]
    with precision(half), torch.no_grad():
        recorded = make_fx(layer)(p)
        torch.testing.assert_close(recorded(other), layer(other), rtol=0, atol=0.02 if half else 1e-5)


@every_layer
def test_operations_are_counted_whatever_averages(name):
    layer, p = example(name)
    p.requires_grad_()

    def operations():
        with FlopCounterMode(display=False) as counter:
            layer(p).sum().backward()
        return counter.get_total_flops()

    here = operations()
    kernels.use_average("formula")
    assert here == operations() > 0


@every_layer
@in_either_precision
def test_signs_that_are_kept_apart_count(name, half):
    layer, p = example(name)
    slope = torch.randn_like(layer(p).detach())

    def run(turn):
        read = p.clone().requires_grad_()
        with precision(half):
            z = layer(turn(read))
        leaves = [read, *(each for each in layer.parameters() if each.ndim > 1)]
        return z.detach(), *torch.autograd.grad(z, leaves, turn(slope.to(z.dtype)))

    for found, wanted in zip(run(with_signs_apart), run(lambda tensor: tensor), strict=True):
        size = float(wanted.abs().max())
        torch.testing.assert_close(found, wanted, rtol=0, atol=(0.03 if half else 1e-5) * max(1, size))


@every_layer
@in_either_precision
def test_where_new_tensors_lie_by_default_does_not_matter(name, half):
    layer, p = example(name)

    def run():
        with precision(half):
            z = layer(p)
        return torch.autograd.grad(z, [*layer.parameters()], torch.ones_like(z))

    wanted = run()
    torch.set_default_device("meta")
    try:
        found = run()
    finally:
        torch.set_default_device(None)
    for got, want in zip(found, wanted, strict=True):
        torch.testing.assert_close(got, want)


@pytest.mark.parametrize("name", [name for name in LAYERS if name.startswith("conv2d")])
def test_conductances_elsewhere_are_not_read(name):
    layer, p = example(name)
    assert not isinstance(layer.to("meta").open_conductances(p), PendingConvolution)


def test_parts_that_lie_on_two_devices_are_refused():
    both, shared = torch.rand(4, 12, dtype=torch.bfloat16), torch.rand(4, 1)
    with pytest.raises(InputError, match="cpu and on meta"):
        kernels.average(SplitSums(both, shared, torch.rand(12), torch.rand(12, device="meta")), -1, True)


@pytest.mark.parametrize("channels", [1, 7, 9, 40])
def test_signed_layers_refuse_another_number_of_channels(channels):
    for layer, p in (
        (AbsNormConv2d(8, 6, 3), torch.rand(2, channels, 5, 5).to(memory_format=torch.channels_last)),
        (AbsNormConv2d(8, 6, 3, groups=2), torch.rand(2, channels, 5, 5)),
        (AbsNormLinear(8, 6), torch.rand(2, channels)),
    ):
        with pytest.raises(InputError, match="must hold the 8 presynaptic channels"):
            layer(p)


@pytest.mark.parametrize(("channels", "units"), [(7, 6), (9, 6), (8, 5), (8, 7)])
def test_sizes_that_do_not_fit_are_left_to_torch(channels, units):
    p = torch.rand(2, channels, 5, 5).to(memory_format=torch.channels_last)
    options = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": 1}
    for G, excitatory in ((torch.rand(6, 8, 3, 3), 6), (torch.rand(12, 8, 3, 3), 8)):
        with pytest.raises(RuntimeError):
            kernels.average(SynapticSum(**options).split(p, G, torch.rand(2, units), excitatory), -3, True)


def test_products_of_rounded_factors_take_plain_tensors_alone():
    p, G = torch.rand(4, 8), torch.rand(6, 8)
    for other in (with_signs_apart(G), G.to("meta")):
        assert not rounded.serves(p, other)
