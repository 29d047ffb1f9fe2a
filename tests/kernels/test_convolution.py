"""Convolutions that average in one pass give the numbers of the plain formula, whatever their shape."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conductance import functional, kernels
from conductance.kernels import convolution, native, rounded
from conductance.kernels.convolution import PendingConvolution
from conductance.nn import AbsNormConv2d, CWAConv2d
from conductance.transform import freeze

pytestmark = [
    pytest.mark.usefixtures("any_average"),
    pytest.mark.skipif(
        torch.backends.cpu.get_cpu_capability() != "AVX512" or native.library("convolution") is None,
        reason="needs AVX512 and a C++ compiler",
    ),
]


@pytest.fixture(autouse=True)
def _any_size(monkeypatch):
    """Small layers go the way of large ones."""
    kernels.use_average("native")
    monkeypatch.setattr(convolution, "LEAST_UNITS", 1)
    monkeypatch.setattr(convolution, "LEAST_CHANNELS", 1)


@st.composite
def convolutions(draw):
    """A layer in evaluation and what it reads, in float64."""
    pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))
    size, stride, dilation = draw(pairs), draw(pairs), draw(pairs)
    padding = draw(st.tuples(st.integers(0, 3), st.integers(0, 3)))
    channels, units = draw(st.sampled_from([2, 3, 8, 20, 34])), draw(st.sampled_from([2, 7, 32, 50, 64]))
    shapes = size, stride, padding, dilation
    torch.manual_seed(draw(st.integers(0, 2**16)))
    kind = draw(st.sampled_from(["half", "share", "doubled", "mixed", "absnorm"]))
    if kind == "absnorm":
        layer = AbsNormConv2d(channels, units, *shapes, activation=None)
    else:
        options = {
            "half": {},
            "share": {"excitatory_share": 0.75},
            "doubled": {"doubled_input": True},
            "mixed": {"valence": torch.tensor([1.0, -1.0]).repeat(channels)[torch.randperm(channels)]},
        }
        layer = CWAConv2d(channels, units, *shapes, activation=None, **options[kind])
    reach = [gap * (length - 1) + 1 for gap, length in zip(dilation, size, strict=True)]
    sides = [
        max(1, length - 2 * pad) + draw(st.sampled_from([0, 1, 2, 6, 17]))
        for length, pad in zip(reach, padding, strict=True)
    ]
    p = torch.rand(draw(st.integers(1, 30)), channels, *sides, dtype=torch.float64)
    return layer.double().requires_grad_(False), p.to(memory_format=torch.channels_last)


@settings(deadline=None, max_examples=150)
@given(
    convolutions(),
    st.sampled_from(["potential", "rectified", "joined", "pooled"]),
    st.booleans(),
    st.booleans(),
    st.integers(1, 3),
)
def test_numbers_are_those_of_the_formula(example, result, frozen, last, threads):
    layer, p = example
    E, I = layer.excitation_inhibition(p)
    z = (E - I) / (E + I)
    shortcut = torch.rand_like(z) * 2 - 1
    wanted = {
        "potential": z,
        "rectified": z.relu(),
        "joined": ((z + shortcut) / 2).relu(),
        "pooled": functional.pooled_interneuron(z, -3).relu(),
    }[result]
    layer, p = (
        layer.to(torch.float32, memory_format=torch.channels_last if last else torch.contiguous_format),
        p.float(),
    )
    if frozen:
        layer = freeze(layer)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        sums = layer.open_conductances(p)
        if result == "joined":
            found = kernels.joined_average(sums, shortcut.float(), -3)
        elif result == "pooled":
            found = kernels.pooled_average(sums, -3, True)
        else:
            found = kernels.average(sums, -3, result == "rectified")
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(found.double(), wanted, rtol=1e-5, atol=1e-5)
    assert not isinstance(sums, PendingConvolution) or found.is_contiguous(memory_format=torch.channels_last)


needs_bfloat16 = pytest.mark.skipif(not rounded.has_instructions(), reason="needs AVX512-BF16 and no AMX")


@needs_bfloat16
@settings(deadline=None, max_examples=80)
@given(convolutions(), st.sampled_from(["average", "joined"]), st.booleans())
def test_in_bfloat16_factors_and_results_alone_are_rounded(example, kind, last):
    """Sums are float32, so that z is as exact as bfloat16 holds it, and gradients of G come from float32 on."""
    layer, p = example
    layer.to(torch.float32, memory_format=torch.channels_last if last else torch.contiguous_format).requires_grad_(True)
    p = p.bfloat16()
    exact = copy.deepcopy(layer).double()
    with torch.no_grad():
        next(exact.parameters()).copy_(next(layer.parameters()).bfloat16())

    def result(layer, p, shortcut):
        sums = layer.open_conductances(p)
        if kind == "joined":
            return kernels.joined_average(sums, shortcut, -3)
        return kernels.average(sums, -3, False)

    def gradients(layer, p, shortcut):
        p, shortcut = p.detach().requires_grad_(), shortcut.detach().requires_grad_()
        z = result(layer, p, shortcut)
        slope = torch.linspace(-1, 1, z.numel()).bfloat16().to(z.dtype).view(z.shape) * wanted_open
        return [
            z.detach(),
            *torch.autograd.grad(z, [p, next(layer.parameters()), *([shortcut] if kind == "joined" else [])], slope),
        ]

    with torch.no_grad():
        shape = layer.excitation_inhibition(p.float())[0].shape
        shortcut = (torch.rand(shape) * 2 - 1).bfloat16()
        wanted_open = result(exact, p.double(), shortcut.double()) > 0.05 if kind == "joined" else torch.ones(())
    wanted = gradients(exact, p.double(), shortcut.double())
    with torch.autocast("cpu", torch.bfloat16):
        found = gradients(layer, p, shortcut)
        taken = isinstance(layer.open_conductances(p), PendingConvolution)
    if not taken:
        return
    assert found[0].dtype == torch.bfloat16
    for got, want, tolerance in zip(found, wanted, (0.005, 0.02, 0.02, 0.02), strict=False):
        size = float(want.abs().max()) + 1e-6
        torch.testing.assert_close(got.double(), want, rtol=0.02, atol=tolerance * size)


def the_layer():
    return CWAConv2d(8, 6, 3, 2, 1), torch.rand(2, 8, 9, 7).to(memory_format=torch.channels_last)


def is_taken(layer, p):
    return isinstance(layer.open_conductances(p), PendingConvolution)


def test_is_taken_in_training_and_frozen():
    layer, p = the_layer()
    assert is_taken(layer, p)
    with torch.no_grad():
        assert is_taken(layer, p)
    assert is_taken(freeze(layer), p)


@settings(deadline=None, max_examples=120)
@given(convolutions(), st.sampled_from(["average", "joined", "pooled"]), st.booleans(), st.booleans())
def test_gradients_are_those_of_the_formula(example, kind, last, of_input):
    layer, p = example
    layer.requires_grad_(True)
    shape = layer.excitation_inhibition(p)[0].shape
    shortcut = (torch.rand(shape, dtype=torch.float64) * 2 - 1).requires_grad_() if kind == "joined" else None
    single = copy.deepcopy(layer).to(
        torch.float32, memory_format=torch.channels_last if last else torch.contiguous_format
    )

    def gradients(layer, dtype, result):
        read, joined = (None if each is None else each.detach().to(dtype) for each in (p, shortcut))
        leaves = [*layer.parameters(), *([read] if of_input else []), *([] if joined is None else [joined])]
        z = result(layer, *(None if each is None else each.requires_grad_() for each in (read, joined)))
        slope = torch.linspace(-1, 1, z.numel(), dtype=dtype).view(z.shape) * (wanted_open if joined is not None else 1)
        return torch.autograd.grad(z, leaves, slope)

    def formula(layer, p, shortcut):
        E, I = layer.excitation_inhibition(p)
        z = (E - I) / (E + I)
        if kind == "pooled":
            return functional.pooled_interneuron(z, -3)
        return z if shortcut is None else ((z + shortcut) / 2).relu()

    def one_pass(layer, p, shortcut):
        sums = layer.open_conductances(p)
        if kind == "pooled":
            return kernels.pooled_average(sums, -3, False)
        return kernels.average(sums, -3, False) if shortcut is None else kernels.joined_average(sums, shortcut, -3)

    wanted_open = formula(layer, p, shortcut).detach().float() > 1e-4  # at p = 0 rounding decides
    for found, wanted in zip(
        gradients(single, torch.float32, one_pass), gradients(layer, torch.float64, formula), strict=True
    ):
        torch.testing.assert_close(found.double(), wanted, rtol=1e-3, atol=1e-4 * float(wanted.abs().max()) + 1e-7)


@pytest.mark.parametrize("pooled", [False, True])
def test_many_gradients_may_be_asked_for_at_once(pooled):
    layer = CWAConv2d(8, 6, 3, 2, 1, pooled_interneuron=pooled)
    p = torch.rand(2, 8, 9, 7).to(memory_format=torch.channels_last).requires_grad_()
    z, slopes = layer(p), torch.rand(3, 2, 6, 5, 4)
    leaves = p, layer.g
    one_by_one = [torch.autograd.grad(z, leaves, slope, retain_graph=True) for slope in slopes]
    together = torch.autograd.grad(z, leaves, slopes, is_grads_batched=True)
    for found, wanted in zip(together, zip(*one_by_one, strict=True), strict=True):
        torch.testing.assert_close(found, torch.stack(wanted), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["average", "joined", "pooled"])
def test_gradients_can_be_differentiated_again(kind):
    layer = CWAConv2d(8, 6, 3, 2, 1, activation=None)
    p = torch.rand(2, 8, 9, 7).to(memory_format=torch.channels_last)
    shortcut = torch.rand(2, 6, 5, 4)

    def penalty(layer, p, shortcut):
        """The square of a gradient, and its own gradient."""
        p, shortcut = p.detach().requires_grad_(), shortcut.detach().requires_grad_()
        sums = layer.open_conductances(p)
        assert isinstance(sums, PendingConvolution) == (p.dtype == torch.float32)
        if kind == "joined":
            z = kernels.joined_average(sums, shortcut, -3)
        else:
            z = (kernels.pooled_average if kind == "pooled" else kernels.average)(sums, -3, True)
        leaves = (p, layer.g, shortcut) if kind == "joined" else (p, layer.g)
        found = torch.autograd.grad(z.square().sum(), leaves, create_graph=True)
        return torch.autograd.grad(sum(each.square().sum() for each in found), leaves)

    found = penalty(layer, p, shortcut)
    for got, want in zip(found, penalty(layer.double(), p.double(), shortcut.double()), strict=True):
        torch.testing.assert_close(got.double(), want, rtol=1e-3, atol=1e-4 * float(want.abs().max()))


def test_backward_keeps_nothing_but_z_and_the_sum_of_both():
    layer = CWAConv2d(8, 64, 3, 1, 1)
    p = torch.rand(4, 8, 16, 16).to(memory_format=torch.channels_last)
    kept = {}

    def note(tensor):
        kept[tensor.data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        z = layer(p)
    own = sum(each.untyped_storage().nbytes() for each in (p, layer.g, layer.leak()))
    assert sum(kept.values()) <= 2 * z.untyped_storage().nbytes() + 2 * own


@pytest.mark.parametrize(
    "case", ["contiguous", "float64", "bfloat16", "small", "few units", "groups", "formula", "same"]
)
def test_everything_else_goes_another_way(case, monkeypatch):
    layer, p = the_layer()
    if case == "contiguous":
        p = p.contiguous()
    elif case in ("float64", "bfloat16"):
        layer, p = layer.to(getattr(torch, case)), p.to(getattr(torch, case))
    elif case == "small":
        kernels.use_average(None)
    elif case == "few units":
        monkeypatch.setattr(convolution, "LEAST_UNITS", 7)
    elif case == "groups":
        layer = CWAConv2d(8, 6, 3, groups=2)
    elif case == "formula":
        kernels.use_average("formula")
    else:
        layer = CWAConv2d(8, 6, 3, padding="same")
    with torch.no_grad():
        assert not is_taken(layer, p)


def test_whoever_wants_the_sums_has_them_computed():
    layer, p = the_layer()
    with torch.no_grad():
        E, I = layer.excitation_inhibition(p)
        torch.testing.assert_close(layer(p), ((E - I) / (E + I)).relu())
        extra = torch.rand(2, 12, 5, 4)
        torch.testing.assert_close(
            layer(p, extra), kernels.average(kernels.dense(layer.open_conductances(p), -3) + extra, -3, True)
        )


def test_a_kernel_that_sees_nothing_but_padding_rests():
    layer = CWAConv2d(4, 5, 1, 1, 2, activation=None, resting_potential=0.25)
    p = torch.rand(1, 4, 3, 3).to(memory_format=torch.channels_last)
    with torch.no_grad():
        z = layer(p)
    torch.testing.assert_close(z[:, :, :2], torch.full_like(z[:, :, :2], 0.25))


def test_a_shortcut_of_another_type_is_joined_outside():
    layer, p = the_layer()
    with torch.no_grad():
        sums = layer.open_conductances(p)
        shortcut = torch.rand(convolution.average_convolution(sums, False).shape, dtype=torch.float64)
        joined = kernels.joined_average(sums, shortcut, -3)
        torch.testing.assert_close(joined, ((kernels.average(sums, -3, False) + shortcut) / 2).relu())
