"""A step and its limit in one pass give the numbers of torch's operations one after the other."""

import copy

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conductance.kernels import native, steps
from conductance.nn import CWAConv2d, CWALinear
from conductance.nonnegative import known_nonnegative
from conductance.optim import ConductanceOptimizer, create_optimizer

pytestmark = pytest.mark.skipif(native.library("steps") is None, reason="needs a C++ compiler")


@pytest.fixture
def always(monkeypatch):
    """Small parameters take the way of large ones."""
    monkeypatch.setattr(native, "LEAST", 1)


def trained(parameter, gradients, one_pass, **options):
    parameter = torch.nn.Parameter(parameter.clone(memory_format=torch.preserve_format))
    optimizer = ConductanceOptimizer([parameter], **options)
    with pytest.MonkeyPatch.context() as patch:
        if not one_pass:
            patch.setattr(steps, "serve", lambda *_: False)
        for gradient in gradients:
            parameter.grad = gradient.clone(memory_format=torch.preserve_format)
            optimizer.step()
    return parameter.detach(), optimizer


@pytest.mark.usefixtures("always")
@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shape=st.sampled_from([(7, 10), (40, 130), (6, 4, 3, 3), (64, 8, 3, 3)]),
    last=st.booleans(),
    rule=st.sampled_from(["adam", "muon"]),
    kinds=st.booleans(),
    lr=st.sampled_from([1e-3, 0.1, torch.tensor(0.1)]),
    least=st.sampled_from([0.0, -0.5, 0.3]),
    seed=st.integers(0, 2**16),
)
def test_it_is_the_step_and_then_the_limit(shape, last, rule, kinds, lr, least, seed):
    generator = torch.Generator().manual_seed(seed)
    layout = torch.channels_last if last and len(shape) == 4 else torch.contiguous_format
    draw = lambda: torch.randn(shape, generator=generator).contiguous(memory_format=layout)  # noqa: E731
    start, gradients = draw().clamp(min=least), [draw() for _ in range(4)]
    options = {"rule": rule, "lr": lr, "least": least, "block": 4, "kinds": (shape[1] // 2,) * 2 if kinds else None}
    found, optimizer = trained(start, gradients, True, **options)
    wanted, other = trained(start, gradients, False, **options)
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-6)
    assert bool((found >= least).all())
    for got, want in zip(optimizer.state.values(), other.state.values(), strict=True):
        assert got.keys() == want.keys()
        for name in got:
            torch.testing.assert_close(got[name], want[name], rtol=1e-5, atol=1e-7)


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("rule", ["adam", "muon"])
def test_a_gradient_that_is_not_a_number_stays_so(rule):
    gradient = torch.ones(4, 6)
    gradient[1, 2] = float("nan")
    found, _ = trained(torch.ones(4, 6), [gradient], True, rule=rule, least=0.0)
    assert bool(found[1, 2].isnan())


@pytest.mark.usefixtures("always")
def test_one_thread_and_several_give_the_same():
    start, gradient, threads, found = torch.rand(300, 400), torch.randn(300, 400), torch.get_num_threads(), []
    try:
        for number in (1, 3):
            torch.set_num_threads(number)
            found.append(trained(start, [gradient] * 2, True, rule="adam", least=0.0)[0])
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(*found)


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("rule", ["adam", "muon"])
@pytest.mark.parametrize("layer", [CWALinear(20, 30), CWAConv2d(4, 8, 3)])
def test_conductances_of_a_layer_stay_where_they_are_known_not_to_be_negative(layer, rule):
    layer = copy.deepcopy(layer)
    optimizer = create_optimizer(torch.nn.Sequential(layer), rule, 1.0)
    for _ in range(3):
        layer.g.grad = torch.randn_like(layer.g)
        optimizer.step()
        assert bool((layer.g >= 0).all())
    assert known_nonnegative(layer.g)


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("rule", ["adam", "muon"])
def test_autograd_knows_that_parameters_have_changed(rule):
    layer = CWALinear(20, 30)
    optimizer = create_optimizer(torch.nn.Sequential(layer), rule)
    result = layer(torch.rand(3, 20, requires_grad=True)).sum()
    result.backward(retain_graph=True)
    optimizer.step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        result.backward()


def test_what_the_passes_do_not_read_is_left_to_torch():
    large = torch.rand(300, 300)
    assert steps.serve(large, large)
    assert not steps.serve(large, large.t())
    assert not steps.serve(large, large[:200])  # of the same strides
    assert not steps.serve(large.double())
    assert not steps.serve(torch.rand(3, 3))
    assert not steps.serve(large[:, ::2])
