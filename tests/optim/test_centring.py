"""Centred gradients: a step leaves each unit's mean excitation and mean inhibition where they were."""

import pytest
import torch
from torch import nn

from conductance import optim
from conductance.nn import AbsNormConv2d, AbsNormLinear, CWAConv2d, CWALinear, LateralLinear

LAYERS = [
    (lambda **o: CWALinear(8, 5, **o), (16, 8)),
    (lambda **o: CWALinear(8, 5, **o), (4, 3, 8)),
    (lambda **o: CWALinear(8, 5, **o), (8,)),
    (lambda **o: CWALinear(8, 5, valence=0.75, **o), (16, 8)),
    (lambda **o: CWALinear(8, 5, doubled_input=True, **o), (16, 8)),
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


def descend(layer, p, centred, *, steps=3):
    optimizer = torch.optim.SGD([layer.g], lr=1e-3)
    if centred:
        optim.Centring(optimizer, layer)
    for _ in range(steps):
        optimizer.zero_grad()
        layer(p).square().sum().backward()
        optimizer.step()


@pytest.mark.parametrize(("build", "shape"), LAYERS)
def test_mean_excitation_and_inhibition_stay_while_the_synapses_move(build, shape):
    p = torch.rand(shape, dtype=torch.float64)
    layer = build(nonnegative="projected", dtype=torch.float64)
    before, synapses = drives(layer, p), layer.g.detach().clone()
    descend(layer, p, centred=True)
    assert not torch.equal(layer.g, synapses) or p.ndim == 1  # one sample is its own mean: nothing is left
    torch.testing.assert_close(drives(layer, p), before, rtol=1e-10, atol=1e-12)
    descend(layer, p, centred=False)
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

    optimizer = optim.create_optimizer(network, "sgd", 0.1, momentum=0.0, centred=True)
    before, weight = drive(), layer.weight.detach().clone()
    network(p).square().sum().backward()
    optimizer.step()
    assert not torch.equal(layer.weight, weight)
    torch.testing.assert_close(drive(), before)


def test_what_is_taken_out_is_the_projection_on_the_mean():
    layer = CWALinear(6, 3, nonnegative="projected", dtype=torch.float64)
    optimizer = torch.optim.SGD([layer.g], lr=0.0)
    optim.Centring(optimizer, layer)
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
def test_every_optimiser_takes_it_and_the_readout_is_left_alone(name):
    p = torch.rand(16, 8)
    network = nn.Sequential(LateralLinear(8, 6, nonnegative="projected", learn_resting=True), nn.Linear(6, 2))
    optimizer = optim.create_optimizer(network, name, centred=True)
    network(p).square().sum().backward()
    readout, leak = network[1].weight.grad.clone(), network[0].leak.pair.grad.clone()
    optimizer.step()
    assert torch.equal(network[1].weight.grad, readout)
    assert torch.equal(network[0].leak.pair.grad, leak)
    half = network[0].g.grad[:, :4] @ p.mean(0)[:4]
    torch.testing.assert_close(half, torch.zeros(6), atol=1e-6, rtol=0)


def test_silent_inputs_evaluation_and_removal_leave_the_gradient_alone():
    layer = CWALinear(4, 2, nonnegative="projected")
    optimizer = torch.optim.SGD([layer.g], lr=0.0)
    centring = optim.Centring(optimizer, layer)

    def gradient_after_a_step():
        gradient = layer.g.grad.clone()
        optimizer.step()
        return gradient, layer.g.grad

    layer.g.grad = torch.rand(2, 4)
    layer(torch.zeros(3, 4))
    torch.testing.assert_close(*gradient_after_a_step())
    layer.eval()(torch.rand(3, 4))
    torch.testing.assert_close(*gradient_after_a_step())
    centring.remove()
    layer.train()(torch.rand(3, 4))
    torch.testing.assert_close(*gradient_after_a_step())
