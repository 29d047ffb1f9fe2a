"""Centered gradients: a step leaves each unit's mean excitation and mean inhibition where they were."""

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, vmap

from conductance import optim
from conductance.nn import AbsNormConv2d, AbsNormLinear, CWAConv2d, CWALinear, LateralLinear

LAYERS = [
    (lambda **o: CWALinear(8, 5, **o), (16, 8)),
    (lambda **o: CWALinear(8, 5, **o), (4, 3, 8)),
    (lambda **o: CWALinear(8, 5, **o), (8,)),
    (lambda **o: CWALinear(8, 5, excitatory_share=0.75, **o), (16, 8)),
    (lambda **o: CWALinear(8, 5, doubled_input=True, **o), (16, 8)),
    (lambda **o: CWALinear(8, 5, valence=[1, -1] * 4, **o), (16, 8)),
    (lambda **o: CWALinear(8, 5, valence=[1, 1, 0.5, 0.5, 0, -0.5, -1, -1], **o), (16, 8)),
    (lambda **o: CWALinear(8, 5, valence=torch.linspace(-1, 1, 8), **o), (16, 8)),
    (lambda **o: CWALinear(8, 5, valence=[0.3] * 8, **o), (16, 8)),
    (lambda **o: CWAConv2d(8, 6, 3, **o), (4, 8, 3, 3)),
    (lambda **o: CWAConv2d(8, 6, 1, groups=2, **o), (4, 8, 3, 3)),
]


def drives(layer, p):
    """Mean E and mean I of each unit, leak left out, where every synapse sees its channel's mean activity."""
    if layer.channel_axis != -1:
        p = p.mean((0, 2, 3), keepdim=True).expand(1, *p.shape[1:])
    both = layer.open_conductances(p).detach()
    axes = [axis for axis in range(both.ndim) if axis != both.ndim + layer.channel_axis]
    return (both.mean(axes) if axes else both) - layer.leak().flatten()


def descend(layer, p, centered, *, steps=3, by_closure=False):
    optimizer = torch.optim.SGD([layer.g], lr=1e-3)
    if centered:
        optim.Centering(optimizer, layer)

    def loss():
        optimizer.zero_grad()
        loss = layer(p).square().sum()
        loss.backward()
        return loss

    for _ in range(steps):
        if by_closure:
            assert optimizer.step(closure=loss) > 0
        else:
            loss()
            optimizer.step()


@pytest.mark.filterwarnings("ignore:all 8 presynaptic channels")
@pytest.mark.parametrize(("build", "shape"), LAYERS)
def test_mean_excitation_and_inhibition_stay_while_the_synapses_move(build, shape):
    p = torch.rand(shape, dtype=torch.float64)
    layer = build(dtype=torch.float64)
    before, synapses = drives(layer, p), layer.g.detach().clone()
    descend(layer, p, centered=True)
    assert not torch.equal(layer.g, synapses) or p.ndim == 1  # one sample is its own mean: nothing is left
    torch.testing.assert_close(drives(layer, p), before, rtol=1e-10, atol=1e-12)
    descend(layer, p, centered=False)
    if p.ndim > 1:
        assert (drives(layer, p) - before).abs().max() > 1e-6


@pytest.mark.parametrize(("layer", "shape"), [
    (AbsNormLinear(8, 5), (16, 8)),
    (AbsNormConv2d(8, 5, 1), (4, 8, 3, 3)),
    (nn.Conv2d(8, 5, 1), (4, 8, 3, 3)),
])  # fmt: skip
def test_the_mean_drive_of_signed_weights_stays(layer, shape):
    network = nn.Sequential(layer.double(), nn.Flatten(), nn.Linear(5 * shape[-1] ** (len(shape) - 2), 2).double())
    if len(shape) == 4:
        network[2] = nn.Linear(45, 2).double()
    p = torch.rand(shape, dtype=torch.float64)
    mean = p.movedim(1, -1).flatten(0, -2).mean(0)

    def drive():
        return layer.weight.detach().flatten(1) @ mean

    optimizer = optim.create_optimizer(network, "sgd", 0.1, momentum=0.0, centered=True)
    before, weight = drive(), layer.weight.detach().clone()
    network(p).square().sum().backward()
    optimizer.step()
    assert not torch.equal(layer.weight, weight)
    torch.testing.assert_close(drive(), before)


def test_what_is_taken_out_is_the_projection_on_the_mean():
    layer = CWALinear(6, 3, dtype=torch.float64)
    optimizer = torch.optim.SGD([layer.g], lr=0.0)
    optim.Centering(optimizer, layer)
    batches = torch.rand(2, 10, 6, dtype=torch.float64)
    for p in batches:  # two batches to one step
        layer(p).square().sum().backward()
    gradient, mean = layer.g.grad.clone(), batches.mean((0, 1))
    for kind in (slice(0, 3), slice(3, 6)):
        unit = mean[kind] / mean[kind].norm()
        gradient[:, kind] -= torch.outer(gradient[:, kind] @ unit, unit)
    optimizer.step()
    torch.testing.assert_close(layer.g.grad, gradient)


@pytest.mark.parametrize("name", ["muon", "adam", "sgd", "eg"])
def test_every_optimizer_takes_it_and_the_readout_is_left_alone(name):
    p = torch.rand(16, 8)
    network = nn.Sequential(LateralLinear(8, 6, learn_resting=True), nn.Linear(6, 2))
    optimizer = optim.create_optimizer(network, name, centered=True)
    network(p).square().sum().backward()
    readout, leak = network[1].weight.grad.clone(), network[0].leak.pair.grad.clone()
    optimizer.step()
    assert torch.equal(network[1].weight.grad, readout)
    assert torch.equal(network[0].leak.pair.grad, leak)
    half = network[0].g.grad[:, :4] @ p.mean(0)[:4]
    torch.testing.assert_close(half, torch.zeros(6), atol=1e-6, rtol=0)


def test_silent_inputs_evaluation_and_removal_leave_the_gradient_alone():
    layer = CWALinear(4, 2)
    optimizer = torch.optim.SGD([layer.g], lr=0.0)
    centering = optim.Centering(optimizer, layer)

    def gradient_after_a_step():
        gradient = layer.g.grad.clone()
        optimizer.step()
        return gradient, layer.g.grad

    layer.g.grad = torch.rand(2, 4)
    layer(torch.zeros(3, 4))
    torch.testing.assert_close(*gradient_after_a_step())
    layer.eval()(torch.rand(3, 4))
    torch.testing.assert_close(*gradient_after_a_step())
    centering.remove()
    layer.train()(torch.rand(3, 4))
    torch.testing.assert_close(*gradient_after_a_step())


def test_a_closure_makes_the_gradients_that_are_centered():
    p = torch.rand(16, 8, dtype=torch.float64)
    layer = CWALinear(8, 5, dtype=torch.float64)
    before, synapses = drives(layer, p), layer.g.detach().clone()
    descend(layer, p, centered=True, by_closure=True)
    assert not torch.equal(layer.g, synapses)
    torch.testing.assert_close(drives(layer, p), before, rtol=1e-10, atol=1e-12)


def test_batches_of_different_sizes_count_by_their_samples():
    layer = CWALinear(6, 3, dtype=torch.float64)
    optimizer = torch.optim.SGD([layer.g], lr=0.0)
    optim.Centering(optimizer, layer)
    p = torch.rand(32, 6, dtype=torch.float64)
    layer(p[:30]).square().sum().backward()
    layer(p=p[30:]).square().sum().backward()
    optimizer.step()
    torch.testing.assert_close(layer.g.grad[:, :3] @ p.mean(0)[:3], torch.zeros(3, dtype=torch.float64))


def test_layers_that_are_not_to_learn_and_those_without_input_are_left_alone():
    layers = nn.ModuleList([CWALinear(4, 2) for _ in range(3)])
    optimizer = optim.create_optimizer(layers, "sgd", centered=True)
    layers[1].requires_grad_(False)
    for layer in layers:
        layer.g.grad = torch.rand(2, 4)
    gradients = [layer.g.grad.clone() for layer in layers]
    p = torch.rand(3, 4)
    layers[0](p), layers[1](p)
    optimizer.step()
    assert [torch.equal(layer.g.grad, was) for layer, was in zip(layers, gradients, strict=True)] == [False, True, True]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_model_that_was_compiled_and_run_before_is_not_ignored_in_silence():
    model = nn.Sequential(CWALinear(4, 6), nn.Linear(6, 2))
    compiled = torch.compile(model, backend="eager")
    compiled(torch.rand(3, 4)).sum().backward()
    model.zero_grad()
    late = optim.create_optimizer(model, centered=True)
    compiled(torch.rand(3, 4)).sum().backward()
    with pytest.warns(UserWarning, match="Make the optimizer first"):
        late.step()
    late.step()  # and says so once


def test_gradients_taken_by_torch_func_are_left_to_it():
    model = nn.Sequential(CWALinear(4, 6), nn.Linear(6, 2))
    optim.create_optimizer(model, centered=True)
    p = torch.rand(5, 4)

    def loss(parameters, sample):
        return functional_call(model, parameters, (sample[None],)).square().sum()

    parameters = {name: parameter.detach() for name, parameter in model.named_parameters()}
    each = vmap(grad(loss), in_dims=(None, 0))(parameters, p)
    model(p).square().sum().backward()
    torch.testing.assert_close(each["0.g"].sum(0), model[0].g.grad)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_model_that_is_compiled_afterwards_is_watched():
    p = torch.rand(16, 8)
    model = nn.Sequential(CWALinear(8, 6), nn.Linear(6, 2))
    optimizer = optim.create_optimizer(model, "sgd", centered=True)
    compiled = torch.compile(model, backend="eager")
    for _ in range(3):
        optimizer.zero_grad()
        compiled(p).square().sum().backward()
        optimizer.step()
        half = model[0].g.grad[:, :4] @ p.mean(0)[:4]
        torch.testing.assert_close(half, torch.zeros(6), atol=1e-6, rtol=0)


def test_processes_add_up_all_layers_in_the_same_order_whatever_each_has_received(monkeypatch):
    here, there = torch.rand(2, 30, 4), torch.rand(2, 10, 4)
    network = nn.ModuleList([CWALinear(4, 2, dtype=torch.float64) for _ in range(2)])
    optimizer = optim.create_optimizer(network, "sgd", centered=True)
    network[1](here[1].double()).square().sum().backward()  # the other process has run the first layer too
    reduced = []

    def all_reduce(total):
        other = there[len(reduced)].double()
        total += torch.cat([other.sum(0), torch.full((1,), 10.0)])
        reduced.append(total.clone())

    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "all_reduce", all_reduce)
    optimizer.step()
    assert [total[-1] for total in reduced] == [10, 40]
    mean = torch.cat([here[1], there[1]]).double().mean(0)
    torch.testing.assert_close(network[1].g.grad[:, :2] @ mean[:2], torch.zeros(2, dtype=torch.float64))
