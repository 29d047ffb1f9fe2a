"""Rules that torch has too move parameters as torch's optimizers do."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from conductance.optim import OPTIMIZERS, ConductanceOptimizer

SHAPES = st.lists(st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple), min_size=1, max_size=3)


def trained(build, shapes, steps=4, seed=0):
    """Parameters after some steps along random gradients; now and then one has no gradient."""
    generator = torch.Generator().manual_seed(seed)
    parameters = [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes]
    optimizer = build(parameters)
    for step in range(steps):
        for number, parameter in enumerate(parameters):
            gradient = torch.randn(parameter.shape, generator=generator)
            parameter.grad = None if (step + number) % 3 == 2 else gradient
        optimizer.step()
    return parameters


@given(SHAPES, st.floats(1e-4, 0.5), st.floats(0, 0.99), st.floats(0.5, 0.999))
def test_adam(shapes, lr, beta1, beta2):
    options = {"lr": lr, "betas": (beta1, beta2)}
    torch.testing.assert_close(
        trained(lambda parameters: ConductanceOptimizer(parameters, rule="adam", **options), shapes),
        trained(lambda parameters: torch.optim.Adam(parameters, **options), shapes),
    )


@given(SHAPES, st.floats(1e-4, 0.5), st.one_of(st.just(0.0), st.floats(0.1, 0.99)), st.floats(0.1, 10))
def test_sgd(shapes, lr, momentum, scale):
    torch.testing.assert_close(
        trained(
            lambda ps: ConductanceOptimizer(ps, lr, rule="sgd", betas=(momentum, 0.0), scale=scale),
            shapes,
        ),
        trained(lambda ps: torch.optim.SGD(ps, lr * scale, momentum, nesterov=momentum > 0), shapes),
    )


@pytest.mark.parametrize("rule", ["muon", "adam", "sgd", "eg"])
def test_a_gradient_that_is_not_finite_is_not_hidden(rule):
    parameter = torch.nn.Parameter(torch.ones(2, 3))
    parameter.grad = torch.full((2, 3), float("nan"))
    ConductanceOptimizer([parameter], rule=rule).step()
    assert bool(parameter.isnan().all())


@pytest.mark.parametrize("rule", ["muon", "adam", "sgd", "eg"])
def test_sparse_gradients_are_refused_as_by_torch(rule):
    parameter = torch.nn.Parameter(torch.ones(2, 3))
    parameter.grad = torch.ones(2, 3).to_sparse()
    with pytest.raises(RuntimeError, match="sparse gradients"):
        ConductanceOptimizer([parameter], rule=rule).step()


def in_order(tensor, order):
    """The same numbers, stored in another order of axes, or as a part of a larger tensor."""
    if order == "gaps":
        return tensor.repeat_interleave(2, -1)[..., ::2]
    back = sorted(range(tensor.ndim), key=order.__getitem__)
    return tensor.permute(order).contiguous().permute(back)


ORDERS = st.sampled_from([(0, 1, 2, 3), (0, 2, 3, 1), (3, 2, 1, 0), "gaps"])


@given(ORDERS, ORDERS, st.sampled_from(OPTIMIZERS), st.sampled_from([None, 0.0]))
def test_a_step_does_not_depend_on_the_order_in_memory(of_parameter, of_gradient, rule, least):
    start, gradient = torch.rand(4, 6, 3, 2), torch.randn(4, 6, 3, 2)

    def moved(start, gradient):
        parameter = torch.nn.Parameter(start)
        parameter.grad = gradient
        optimizer = ConductanceOptimizer([parameter], 0.01, rule=rule, least=least)
        for _ in range(2):
            optimizer.step()
        return parameter

    wanted = moved(start.clone(), gradient)
    found = moved(in_order(start, of_parameter), in_order(gradient, of_gradient))
    torch.testing.assert_close(found, wanted)
