"""The average of sums in parts gives the numbers of the plain formula on their float32 sum, and its gradients."""

import shutil

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conductance import kernels
from conductance.kernels import SplitSums, averaging
from conductance.nn import AbsNormConv2d, CWAConv2d, CWALinear

CASES = {  # shape of the rest, of what is shared, channel axis
    "linear, two sums": ((70, 2 * 30), (70, 2), -1),
    "linear, one sum": ((70, 2 * 30), (70, 1), -1),
    "sequences": ((4, 3, 2 * 6), (4, 3, 2), -1),
    "convolution": ((9, 2 * 5, 7, 6), (9, 2, 7, 6), -3),
    "convolution, one sum": ((9, 2 * 5, 7, 6), (9, 1, 7, 6), -3),
    "one image": ((2 * 5, 7, 6), (2, 7, 6), -3),
    "one sample": ((2 * 5,), (2,), -1),
    "empty batch": ((0, 2 * 5, 3, 3), (0, 2, 3, 3), -3),
}
HALF = (torch.bfloat16, torch.float16)


def parts(case, dtype):
    """Sums as large and alike as real ones: 100 shared by all, and a rest of a few."""
    rest_shape, shared_shape, axis = CASES[case]
    units = rest_shape[axis]
    rest = torch.randn(rest_shape).to(dtype)
    shared, mean, leak = 90 + 20 * torch.rand(shared_shape), 0.9 + 0.2 * torch.rand(units), 5 * torch.rand(units)
    return SplitSums(*(part.requires_grad_(part is not mean) for part in (rest, shared, mean, leak))), axis


def gradients(result, sums):
    torch.manual_seed(1)
    wanted = (sums.rest, sums.shared, sums.leak)
    return torch.autograd.grad(result, wanted, torch.randn(result.shape).to(result.dtype))


@pytest.mark.parametrize("rectify", [False, True])
@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("case", CASES)
def test_values_and_gradients_are_those_of_the_formula(case, dtype, rectify, monkeypatch):
    monkeypatch.setattr(averaging, "BLOCK_BYTES", 2000)  # several blocks, the last one shorter
    sums, axis = parts(case, dtype)
    result = kernels.average(sums, axis, rectify, dtype)
    exact = averaging.average(kernels.dense(sums, axis).double(), axis, rectify)
    assert result.dtype == dtype
    torch.testing.assert_close(result.double(), exact, rtol=0, atol=torch.finfo(dtype).eps)
    for found, wanted in zip(gradients(result, sums), gradients(exact, sums), strict=True):
        torch.testing.assert_close(
            found.float(),
            wanted.float(),
            rtol=0.02,
            atol=0.01 * float(wanted.float().norm(torch.inf)) if wanted.numel() else 0,
        )


@pytest.mark.usefixtures("any_average")
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    case=st.sampled_from(sorted(CASES)),
    dtype=st.sampled_from([torch.bfloat16, torch.float16, torch.float32]),
    kernel=st.sampled_from(["formula", "blocked", "native"]),
    size=st.sampled_from([1e-3, 1.0, 1e4]),
    leak=st.sampled_from([1e-30, 1e-3, 1.0]),
    seed=st.integers(0, 2**16),
)
def test_no_rounding_leads_out_of_range(case, dtype, kernel, size, leak, seed):
    """Rests that cancel the shared part, and more than that."""
    torch.manual_seed(seed)
    kernels.use_average(kernel)
    rest_shape, shared_shape, axis = CASES[case]
    wide = torch.float64 if dtype == torch.float32 else torch.float32
    shared, mean = size * torch.rand(shared_shape, dtype=wide), torch.rand(rest_shape[axis], dtype=wide)
    whole = kernels.dense(SplitSums(torch.zeros(rest_shape, dtype=wide), shared, mean, torch.zeros_like(mean)), axis)
    rest = (whole * (torch.rand(rest_shape) * 0.02 - 1.01)).to(dtype)
    sums = SplitSums(rest, shared, mean, torch.full(mean.shape, leak)), axis
    for rectify in (False, True):
        z = kernels.average(*sums, rectify)
        assert bool((z.abs() <= 1).all())
        assert bool((z >= 0).all()) or not rectify
    assert bool((kernels.dense(*sums) >= 0).all())


@pytest.mark.usefixtures("any_average")
@pytest.mark.skipif(shutil.which("g++") is None and shutil.which("clang++") is None, reason="needs a C++ compiler")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_blocks_and_compiled_code_give_the_numbers_of_the_formula():
    sums, axis = parts("convolution", torch.bfloat16)

    def run(name):
        kernels.use_average(name)
        from_elsewhere = SplitSums(*(part * 1 for part in sums[:4]))  # as a product gives them: no leaves
        result = kernels.average(from_elsewhere, axis, True)
        with torch.no_grad():
            assert torch.equal(result, kernels.average(sums, axis, True))
        return result, *gradients(result, sums)

    wanted = run("formula")
    for name in ("blocked", "compiled"):
        torch.testing.assert_close(run(name), wanted, rtol=0.01, atol=1e-4)


@pytest.mark.parametrize("rectify", [False, True])
@pytest.mark.parametrize("case", ["linear, two sums", "convolution, one sum", "sequences"])
def test_both_ways_to_the_gradient_agree(case, rectify):
    sums, axis = parts(case, torch.bfloat16)
    result = kernels.average(sums, axis, rectify)
    in_blocks = gradients(result, sums)
    torch.manual_seed(1)
    again = torch.autograd.grad(
        kernels.average(sums, axis, rectify),
        (sums.rest, sums.shared, sums.leak),
        torch.randn(result.shape).to(result.dtype),
        create_graph=True,
    )
    for found, wanted in zip(in_blocks, again, strict=True):
        assert wanted.requires_grad
        torch.testing.assert_close(found, wanted.detach(), rtol=1e-2, atol=1e-5)


def test_a_second_derivative_points_the_way_of_the_formulas():
    sums, axis = parts("linear, two sums", torch.bfloat16)

    def twice(result):
        (first,) = torch.autograd.grad(result.float().square().sum(), sums.leak, create_graph=True)
        return torch.autograd.grad(first.square().sum(), sums.leak)[0]

    found = twice(kernels.average(sums, axis, False))
    wanted = twice(averaging.average(kernels.dense(sums, axis), axis, False))
    assert torch.nn.functional.cosine_similarity(found, wanted, dim=0) > 0.99


@pytest.mark.parametrize("case", ["linear, two sums", "convolution"])
def test_without_gradients_the_numbers_are_the_same(case):
    sums, axis = parts(case, torch.bfloat16)
    with torch.no_grad():
        alone = kernels.average(sums, axis, True)
    assert torch.equal(alone, kernels.average(sums, axis, True))


def test_channels_last_stays_so_forward_and_backward():
    sums, axis = parts("convolution", torch.bfloat16)
    strided = sums.rest.detach().to(memory_format=torch.channels_last).requires_grad_()
    result = kernels.average(sums._replace(rest=strided), axis, True)
    assert result.is_contiguous(memory_format=torch.channels_last)
    (gradient,) = torch.autograd.grad(result.float().sum(), strided)
    assert gradient.is_contiguous(memory_format=torch.channels_last)


LAYERS = {
    "linear, halves": (lambda: CWALinear(6, 4), (5, 6), 2),
    "linear, doubled": (lambda: CWALinear(6, 4, doubled_input=True), (5, 6), 1),
    "linear, four to one": (lambda: CWALinear(10, 4, valence=[1.0] * 8 + [-1.0] * 2), (5, 10), 2),
    "convolution": (lambda: CWAConv2d(4, 6, 3, padding=1), (2, 4, 8, 8), 2),
    "signed convolution": (lambda: AbsNormConv2d(4, 6, 3), (2, 4, 8, 8), 1),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers_under_autocast_keep_their_sums_in_parts(name):
    build, shape, shared = LAYERS[name]
    layer, p = build(), torch.rand(shape)
    with torch.autocast("cpu", torch.bfloat16):
        sums = layer.synaptic_conductances(p)
    assert isinstance(sums, SplitSums)
    assert sums.rest.dtype == torch.bfloat16
    assert sums.shared.shape[layer.channel_axis] == shared
    exact = layer.open_conductances(p)
    torch.testing.assert_close(kernels.dense(sums, layer.channel_axis), exact, rtol=0.01, atol=0.02)


def test_graded_valences_and_groups_are_put_together_at_once():
    graded, grouped = CWALinear(6, 4, valence=[1, -1, 1, -1, 0.5, 1]), CWAConv2d(4, 6, 3, groups=2)
    for layer, p in ((graded, torch.rand(5, 6)), (grouped, torch.rand(2, 4, 8, 8))):
        exact = layer(p)
        with torch.autocast("cpu", torch.bfloat16):
            sums, rounded = layer.synaptic_conductances(p), layer(p)
        assert isinstance(sums, torch.Tensor)
        torch.testing.assert_close(rounded.float(), exact, rtol=0.02, atol=0.02)


def test_a_leak_of_another_type_gets_its_gradient_in_it():
    layer = CWALinear(6, 4, learn_resting=True, dtype=torch.bfloat16)
    layer(torch.rand(5, 6, dtype=torch.bfloat16)).sum().backward()
    assert all(parameter.grad.dtype == torch.bfloat16 for parameter in layer.parameters())
    assert kernels.low_precision(torch.rand(5, 6, dtype=torch.bfloat16), layer.g) == torch.bfloat16
