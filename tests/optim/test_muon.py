"""Orthogonal steps: singular values, sizes, kinds and blocks."""

import copy
import subprocess
import sys
from contextlib import nullcontext

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from conductance import init, optim
from conductance.errors import InputError
from conductance.nn import CWAConv2d, CWALinear
from conductance.optim import ConductanceOptimizer, hidden_synapses, orthogonalize
from conductance.optim.muon import QUINTIC, ROUNDS
from conductance.training.device import flushing_denormals


@pytest.mark.parametrize("shape", [(8, 30), (30, 8), (16, 16), (3, 8, 20)])
def test_singular_values_come_near_one_and_singular_vectors_stay(shape):
    matrix = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    U, _, V = torch.linalg.svd(matrix, full_matrices=False)
    inner = U.mT @ orthogonalize(matrix) @ V.mT
    diagonal = inner.diagonal(dim1=-2, dim2=-1)
    assert bool(((diagonal > 0.6) & (diagonal < 1.3)).all())
    assert bool(((inner - torch.diag_embed(diagonal)).abs() < 1e-9).all())


def test_it_is_the_newton_schulz_iteration():
    a, b, c = QUINTIC
    matrix = torch.randn(6, 9, dtype=torch.float64)
    X = matrix / matrix.norm()
    for _ in range(ROUNDS):
        A = X @ X.T
        X = a * X + b * A @ X + c * A @ A @ X
    torch.testing.assert_close(orthogonalize(matrix), X)


def test_float32_keeps_the_directions_that_a_gram_matrix_in_bfloat16_loses():
    generator = torch.Generator().manual_seed(6)
    own = torch.randn(8, 40, generator=generator)
    matrix = own + 30 * torch.ones(8, 1) @ torch.randn(1, 40, generator=generator)
    assert bool((torch.linalg.svdvals(orthogonalize(matrix)) > 0.5).all())
    rounded = (matrix.bfloat16() @ matrix.bfloat16().mT).double()
    assert torch.linalg.eigvalsh(rounded).min() < 0  # of a Gram matrix, which has none below 0


def test_a_step_within_autocast_is_the_same_step():
    torch.manual_seed(0)
    p, steps = torch.rand(32, 60), []
    start = init.lognormal_(CWALinear(60, 32))
    for enabled in (False, True):
        layer = copy.deepcopy(start)
        optimizer = optim.create_optimizer(torch.nn.Sequential(layer), "muon", 0.1)
        layer(p).square().sum().backward()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            optimizer.step()
        steps.append(layer.g.detach())
    assert not torch.equal(steps[0], start.g)
    assert torch.equal(*steps)


# Each in a process of its own: torch's two ways of allowing it may not be mixed.
PRECISIONS = """
import os, sys
import torch
from conductance.optim import orthogonalize
def state():
    return torch.backends.cuda.matmul.fp32_precision, torch.backends.mkldnn.matmul.fp32_precision
def check(allow):
    matrix = torch.rand(16, 200, generator=torch.Generator().manual_seed(7))
    whole = orthogonalize(matrix)
    exec(allow)
    before = state()
    assert torch.equal(orthogonalize(matrix), whole)
    assert state() == before, (state(), before)
for allow in sys.argv[1:]:
    if os.fork() == 0:
        check(allow)
        print(allow, flush=True)
        os._exit(0)
    os.wait()
"""


def test_products_are_not_rounded_where_torch_may_round_them():
    ways = [
        "torch.set_float32_matmul_precision('medium')",
        "torch.backends.cuda.matmul.allow_tf32 = True",
        "torch.backends.fp32_precision = 'tf32'",
        "torch.backends.mkldnn.matmul.fp32_precision = 'bf16'",
    ]
    ran = subprocess.run([sys.executable, "-c", PRECISIONS, *ways], capture_output=True, text=True, check=False)
    assert ran.stdout.splitlines() == ways, ran.stderr


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_it_compiles_as_one_graph():
    matrix = torch.rand(8, 30)
    torch._dynamo.reset()
    compiled = torch.compile(orthogonalize, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(matrix), orthogonalize(matrix))


def test_zeros_stay():
    assert not orthogonalize(torch.zeros(4, 7)).any()


@given(
    st.tuples(st.integers(1, 12), st.integers(1, 12)),
    st.floats(-30, 30),
    st.sampled_from([torch.float32, torch.float64]),
)
def test_the_scale_of_a_matrix_does_not_matter(shape, exponent, dtype):
    matrix = torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(8))
    rounding = 1e-3 if dtype == torch.float32 else 1e-9
    torch.testing.assert_close(
        orthogonalize(matrix * 10.0**exponent), orthogonalize(matrix), atol=rounding, rtol=rounding
    )


def test_each_matrix_of_a_batch_has_its_own_scale():
    matrices = torch.randn(3, 4, 6, generator=torch.Generator().manual_seed(9))
    scales = torch.tensor([1e-25, 1.0, 1e25])[:, None, None]
    torch.testing.assert_close(orthogonalize(matrices * scales), orthogonalize(matrices), atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("value", [float("inf"), -float("inf"), float("nan")])
def test_infinities_are_refused(value):
    matrix = torch.rand(4, 5)
    matrix[1, 2] = value
    with pytest.raises(InputError, match="finite matrices"):
        orthogonalize(matrix)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_made_orthogonal_in_float32(dtype):
    matrix = torch.randn(8, 30, generator=torch.Generator().manual_seed(10)).to(dtype)
    found = orthogonalize(matrix)
    assert found.dtype == dtype
    torch.testing.assert_close(found, orthogonalize(matrix.float()).to(dtype))


@pytest.mark.parametrize("flush", [False, True])
def test_what_decays_to_nothing_takes_no_larger_steps_on_its_way(flush):
    """The momentum of a dead layer decays to 0, and its last digits say nothing about the loss."""
    rows = torch.rand(31, 1, generator=torch.Generator().manual_seed(5)) ** 8  # some die before others
    matrix = rows * torch.rand(31, 500, generator=torch.Generator().manual_seed(6))
    with flushing_denormals() if flush else nullcontext():
        steps = [moved(matrix.shape, 10.0**-k * matrix, scale=1 / 500**0.5) for k in range(1, 45)]
    largest = [float(torch.linalg.matrix_norm(step.double(), 2)) for step in steps]
    assert max(largest) < 0.65
    assert min(largest[:9]) > 0.3
    assert largest[-1] < 1e-6


def moved(shape, gradient, **options):
    parameter = torch.nn.Parameter(torch.zeros(shape))
    parameter.grad = gradient
    ConductanceOptimizer([parameter], lr=0.5, rule="muon", betas=(0.95, 0.0), **options).step()
    return parameter.detach()


def test_the_step_is_a_root_mean_square_and_goes_down():
    gradient = torch.randn(20, 5, 3, 3, generator=torch.Generator().manual_seed(2))
    step = moved(gradient.shape, gradient, scale=2.0)
    assert step.square().mean().sqrt() == pytest.approx(1.0, rel=0.25)
    assert (step * gradient).sum() < 0


def test_a_direction_that_all_units_share_does_not_rule():
    shared = 100 * torch.ones(8, 1) @ torch.randn(1, 40, generator=torch.Generator().manual_seed(3))
    own = torch.randn(8, 40, generator=torch.Generator().manual_seed(4))
    step = moved((8, 40), shared + own)
    own_part = step - step.mean(0)
    assert own_part.norm() > 2 * step.mean(0).norm()


@pytest.mark.parametrize(("units", "block", "parts"), [(12, 4, 3), (10, 4, 3), (3, 32, 1)])
def test_blocks_and_kinds_are_made_orthogonal_by_themselves(units, block, parts):
    gradient = torch.randn(units, 10, 2, generator=torch.Generator().manual_seed(5))
    together = moved(gradient.shape, gradient, block=block, kinds=(6, 4))
    for columns in (slice(0, 6), slice(6, 10)):
        for rows in torch.arange(units).tensor_split(parts):
            alone = moved((len(rows), gradient[0, columns].numel() // 2, 2), gradient[rows][:, columns], block=99)
            scale = together[rows][:, columns] / alone
            torch.testing.assert_close(scale, scale.mean().expand_as(scale), rtol=1e-3, atol=1e-3)


def test_the_kinds_of_a_layer_are_its_valences():
    layers = [
        CWALinear(6, 4),
        CWALinear(10, 4, excitatory_share=0.8),
        CWAConv2d(3, 4, 3, doubled_input=True),
        CWALinear(4, 4, valence=[1, -1, 1, -1]),
    ]
    kinds = [hidden_synapses(layer)[0].kinds for layer in layers]
    assert kinds == [(3, 3), (8, 2), (3, 3), None]


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 9), st.integers(1, 5), st.integers(1, 5), st.integers(0, 2), st.integers(0, 2**16))
def test_a_step_does_not_depend_on_the_layout(units, excitatory, inhibitory, block, seed):
    """Channels last, a kernel's synapses lie in another order."""
    generator = torch.Generator().manual_seed(seed)
    shape = (units, excitatory + inhibitory, 3, 2)
    start, gradient = (torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(2))
    moved = []
    for layout in (torch.contiguous_format, torch.channels_last):
        parameter = nn.Parameter(start.contiguous(memory_format=layout).clone(memory_format=torch.preserve_format))
        optimizer = ConductanceOptimizer([parameter], 0.1, rule="muon", block=block + 1, kinds=(excitatory, inhibitory))
        parameter.grad = gradient.contiguous(memory_format=layout)
        optimizer.step()
        moved.append(parameter.detach())
    torch.testing.assert_close(*moved, rtol=1e-6, atol=1e-6)


def test_vectors_are_refused():
    with pytest.raises(InputError, match="two or more axes"):
        ConductanceOptimizer([torch.nn.Parameter(torch.zeros(3))], rule="muon")
