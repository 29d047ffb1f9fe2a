"""Exponentiated gradient: signs, silence and the size of a step."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from conductance.optim import ConductanceOptimizer


def stepped(conductances, gradients, momentum=0.9, **options):
    parameter = torch.nn.Parameter(torch.tensor(conductances, dtype=torch.float64))
    parameter.grad = torch.tensor(gradients, dtype=torch.float64)
    ConductanceOptimizer([parameter], rule="eg", betas=(momentum, 0.0), **options).step()
    return parameter.detach()


def test_the_step_is_the_exponential_of_the_gradient():
    G = stepped([1.0, 2.0], [0.3, -0.2], lr=0.5, momentum=0.0, scale=2.0)
    torch.testing.assert_close(G, torch.tensor([1.0, 2.0]).double() * torch.tensor([-0.3, 0.2]).double().exp())


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(-1e6, 1e6)), min_size=1, max_size=9))
def test_no_conductance_becomes_negative_and_silent_ones_stay_silent(pairs):
    conductances, gradients = zip(*pairs, strict=True)
    after = stepped(conductances, gradients, lr=1.0)
    assert bool((after >= 0).all())
    assert all(new == 0 for new, old in zip(after.tolist(), conductances, strict=True) if old == 0)


@given(st.lists(st.tuples(st.floats(-1e6, 0), st.floats(-1e6, 1e6)), min_size=1, max_size=9))
def test_closed_synapses_of_a_clamped_layer_stay_closed(pairs):
    parameters, gradients = zip(*pairs, strict=True)
    assert bool((stepped(parameters, gradients, lr=1.0) <= 0).all())
