"""The two products of a linear layer, against the same in float64 with copies."""

import pytest
import torch
from torch.nn import functional as F

from conductance.kernels import paired_linear


def reference(p, conductance, leak, excitatory):
    to_E, to_I = conductance[:, :excitatory], conductance[:, excitatory:]
    p_E, p_I = (p, p) if p.shape[-1] < conductance.shape[1] else (p[..., :excitatory], p[..., excitatory:])
    return torch.cat([F.linear(p_E, to_E, leak[0]), F.linear(p_I, to_I, leak[1])], -1)


CASES = {  # shape of p, fan-in, excitatory channels
    "halves": ((7, 10), 10, 5),
    "four to one": ((7, 10), 10, 8),
    "only excitatory": ((7, 10), 10, 10),
    "shared input": ((7, 10), 20, 10),
    "one sample": ((10,), 10, 5),
    "sequences": ((3, 4, 10), 10, 5),
    "empty batch": ((0, 10), 10, 5),
}


@pytest.mark.parametrize("case", CASES)
def test_numbers_and_gradients_are_those_of_separate_products(case):
    shape, fan_in, excitatory = CASES[case]
    inputs = [torch.rand(size, requires_grad=True) for size in (shape, (6, fan_in), (2, 6))]
    exact = [tensor.detach().double().requires_grad_() for tensor in inputs]
    result, wanted = paired_linear(*inputs, excitatory), reference(*exact, excitatory)
    torch.testing.assert_close(result.double(), wanted, rtol=1e-5, atol=1e-5)
    gradient = torch.randn(result.shape)
    found = torch.autograd.grad(result, inputs, gradient)
    for got, want in zip(found, torch.autograd.grad(wanted, exact, gradient.double()), strict=True):
        torch.testing.assert_close(got.double(), want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shared", [False, True])
def test_it_can_be_differentiated_twice(shared):
    p = torch.rand(3, 4, dtype=torch.float64, requires_grad=True)
    conductance = torch.rand(5, 8 if shared else 4, dtype=torch.float64, requires_grad=True)
    leak = torch.rand(2, 5, dtype=torch.float64, requires_grad=True)
    run = lambda *tensors: paired_linear(*tensors, 4 if shared else 2)  # noqa: E731
    assert torch.autograd.gradcheck(run, (p, conductance, leak))
    assert torch.autograd.gradgradcheck(run, (p, conductance, leak))


def test_nothing_is_computed_for_what_needs_no_gradient():
    p, conductance, leak = torch.rand(3, 4), torch.rand(5, 4, requires_grad=True), torch.rand(2, 5)
    paired_linear(p, conductance, leak, 2).sum().backward()
    assert conductance.grad is not None
    assert p.grad is None
    assert leak.grad is None
