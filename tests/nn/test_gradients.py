"""First and second derivatives, and what backward keeps in memory."""

import pytest
import torch

from conductance import functional, nonnegative
from conductance.nn import AbsNormConv2d, AbsNormLinear, CWAConv2d, CWALinear
from conductance.optim import create_optimizer

F64 = torch.float64
BUILDERS = {
    "linear": (lambda **o: CWALinear(4, 3, dtype=F64, **o), (2, 4)),
    "linear, three valences": (lambda **o: CWALinear(4, 3, valence=[1, -1, 0.5, -1], dtype=F64, **o), (2, 4)),
    "linear, doubled": (lambda **o: CWALinear(3, 2, doubled_input=True, dtype=F64, **o), (2, 3)),
    "conv": (lambda **o: CWAConv2d(2, 2, 2, 2, 1, dtype=F64, **o), (1, 2, 3, 3)),
    "conv, groups": (lambda **o: CWAConv2d(4, 2, 2, groups=2, dtype=F64, **o), (1, 4, 3, 3)),
    "absnorm": (lambda **o: AbsNormLinear(4, 3, dtype=F64, **o), (2, 4)),
    "absnorm conv": (lambda **o: AbsNormConv2d(2, 2, 2, dtype=F64, **o), (1, 2, 3, 3)),
}


@pytest.mark.parametrize("activation", [None, "relu"])
@pytest.mark.parametrize("name", BUILDERS)
def test_first_and_second_derivatives_are_right(name, activation):
    build, shape = BUILDERS[name]
    layer = build(activation=activation, learn_resting=True)
    p = torch.rand(shape, dtype=F64, requires_grad=True)
    names = [name for name, _ in layer.named_parameters()]
    parameters = [parameter.detach().clone().requires_grad_() for parameter in layer.parameters()]

    def run(p, *parameters):
        return torch.func.functional_call(layer, dict(zip(names, parameters, strict=True)), (p,))

    assert torch.autograd.gradcheck(run, (p, *parameters))
    assert torch.autograd.gradgradcheck(run, (p, *parameters))


@pytest.mark.parametrize("form", ["rectified", "softplus", "clamped"])
def test_derivatives_reach_the_parameter_through_every_form(form):
    layer = CWALinear(4, 3, nonnegative=form, dtype=F64)
    p = torch.rand(2, 4, dtype=F64)
    run = lambda g: torch.func.functional_call(layer, {"g": g}, (p,))  # noqa: E731
    assert torch.autograd.gradcheck(run, layer.g.detach().clone().requires_grad_())


def test_a_silent_unit_passes_no_gradient():
    E, I = torch.tensor([1.0, 3.0], requires_grad=True), torch.tensor([2.0, 1.0], requires_grad=True)
    functional.membrane_potential(E, I, "relu").sum().backward()
    assert E.grad[0] == 0
    assert I.grad[0] == 0
    torch.testing.assert_close(E.grad[1], torch.tensor(2 * 1.0 / 16))  # dz/dE = 2 I / (E + I)^2


def saved_bytes(run):
    """What autograd holds on to besides parameters: bytes of distinct storages."""
    kept = {}

    def pack(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor.detach()  # an output held by its own graph would never be freed

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        result = run()
    return sum(kept.values()), result


def test_a_large_average_keeps_two_tensors():
    E, I = (torch.rand(400, 100, requires_grad=True) for _ in range(2))
    kept, z = saved_bytes(lambda: functional.membrane_potential(E, I, "relu"))
    assert kept == 2 * z.numel() * z.element_size()


def test_a_large_layer_keeps_no_more_than_its_input_its_conductances_and_two_outputs():
    layer = CWALinear(40, 60, activation="relu", nonnegative="clamped")
    p = torch.rand(600, 40, requires_grad=True)
    kept, result = saved_bytes(lambda: layer(p))
    assert kept <= 4 * (p.numel() + layer.g.numel() + layer.leak.pair.numel() + 2 * result.numel())


def test_a_clamp_that_would_change_nothing_is_spared_and_missed_by_nobody():
    layer, p = CWALinear(40, 30), torch.rand(5, 40)
    optimizer = torch.optim.SGD(layer.parameters(), 0.1)
    kept, result = saved_bytes(lambda: layer(p))
    assert kept <= 4 * (p.numel() + layer.g.numel() + layer.leak.pair.numel() + 4 * result.numel())  # no second G
    result.sum().backward()
    for change in (optimizer.step, lambda: layer.g.data.copy_(-1 - layer.g), lambda: layer.g.mul_(-1)):
        with torch.no_grad():
            change()
            layer.g[0, 0] = -1.0
        want = CWALinear(40, 30)
        want.set_conductance(layer.conductance.detach())
        torch.testing.assert_close(layer(p), want(p))
    ours = create_optimizer(layer, "adam", 0.5)
    for _ in range(3):
        layer(p).sum().backward()
        ours.step()
        assert nonnegative.known_nonnegative(layer.g)
        assert bool((layer.g >= 0).all())
