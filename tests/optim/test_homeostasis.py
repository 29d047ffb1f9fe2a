"""Inhibitory plasticity: balance kept up, by the unit's own synapses alone."""

import pytest
import torch
from torch import nn

from conductance import init, optim
from conductance.analysis import observe
from conductance.errors import InputError
from conductance.models import create_model
from conductance.nn import CWAConv2d, CWALinear


def mean_drives(layer, p):
    """Mean E and mean I of each unit, leak left out, over samples and positions."""
    E, I = layer.excitation_inhibition(p)
    leak_E, leak_I = (part.view(-1, *(1,) * (-1 - layer.channel_axis)) for part in layer.leak())
    axes = [axis for axis in range(E.ndim) if axis != E.ndim + layer.channel_axis]
    return (E - leak_E).mean(axes), (I - leak_I).mean(axes)


def still(model):
    """An optimizer whose steps move nothing: what changes is homeostasis."""
    return torch.optim.SGD(model.parameters(), lr=0.0)


@pytest.mark.parametrize("nonnegative", ["clamped", "softplus", "rectified"])
@pytest.mark.parametrize(("build", "shape"), [
    (lambda **o: CWALinear(8, 5, **o), (16, 8)),
    (lambda **o: CWALinear(8, 5, excitatory_share=0.75, **o), (16, 8)),
    (lambda **o: CWALinear(8, 5, doubled_input=True, **o), (16, 8)),
    (lambda **o: CWALinear(8, 5, valence=torch.linspace(-1, 1, 8), **o), (16, 8)),
    (lambda **o: CWAConv2d(8, 6, 3, **o), (4, 8, 3, 3)),
    (lambda **o: CWAConv2d(8, 6, 1, groups=2, **o), (4, 8, 3, 3)),
])  # fmt: skip
def test_at_full_rate_one_step_balances_the_batch(build, shape, nonnegative):
    layer = build(nonnegative=nonnegative, dtype=torch.float64)
    p = torch.rand(shape, dtype=torch.float64)
    if layer.g.ndim > 2 and layer.g.shape[-1] > 1:  # the same everywhere: a channel's mean is what each synapse sees
        p = p.mean((2, 3), keepdim=True).expand(shape)
    before = layer.conductance.detach().clone()
    optimizer = still(layer)
    optim.Homeostasis(optimizer, layer, rate=1.0)
    layer(p)
    optimizer.step()
    E, I = mean_drives(layer, p)
    if layer.valence.abs().min() < 1:  # graded valences: of the net drive, not of its parts
        torch.testing.assert_close(E - I, torch.zeros_like(E), atol=1e-9, rtol=0)
    else:
        torch.testing.assert_close(E, I)
    excitatory = layer.presynaptic.per_synapse(before).expand_as(before) >= 0
    assert torch.equal(layer.conductance[excitatory], before[excitatory])
    assert bool((layer.conductance >= 0).all())


def imbalance(model, images):
    """|E' - I'| over E' + I' of each layer's mean unit, leak included."""
    seen = observe(model, images)
    return [float((one.excitation.mean() - one.inhibition.mean()).abs() / one.excitation.mean()) for one in seen]


def test_small_steps_lead_to_balance_in_a_whole_network():
    model = create_model("fcn", "cwa", (1, 8, 8), 3, widths=(20, 20), layer_options={"nonnegative": "clamped"})
    init.lognormal_(model)
    for layer in init.conductance_layers(model):
        layer.set_conductance(layer.conductance * torch.where(layer.presynaptic.per_synapse(layer.g) < 0, 0.5, 1.0))
    optimizer = still(model)
    optim.Homeostasis(optimizer, model, rate=0.1)
    images = torch.rand(32, 1, 8, 8)
    assert min(imbalance(model, images)) > 0.2
    for _ in range(150):
        model(images)
        optimizer.step()
    assert max(imbalance(model, images)) < 0.01


def test_conductances_that_are_not_to_learn_stay():
    layer = CWALinear(4, 2)
    layer.g.requires_grad_(False)
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=0.0)
    optim.Homeostasis(optimizer, layer, rate=1.0)
    before = layer.g.clone()
    layer(torch.rand(3, 4))
    optimizer.step()
    assert torch.equal(layer.g, before)


def test_synapses_below_zero_stay_where_nothing_is_to_be_balanced():
    layer = CWALinear(4, 2, nonnegative="rectified")
    layer.g.data.fill_(-3.0)
    optimizer = still(layer)
    optim.Homeostasis(optimizer, layer, rate=1.0)
    layer(torch.rand(3, 4))
    optimizer.step()
    assert bool((layer.g == -3.0).all())


def test_what_is_seen_in_evaluation_does_not_count():
    layer = CWALinear(4, 2).eval()
    optimizer = still(layer)
    optim.Homeostasis(optimizer, layer, rate=1.0)
    before = layer.g.detach().clone()
    layer(torch.rand(3, 4))
    optimizer.step()
    assert torch.equal(layer.g, before)


def test_removed_it_does_nothing_more():
    layer = CWALinear(4, 2)
    optimizer = still(layer)
    optim.Homeostasis(optimizer, layer, rate=1.0).remove()
    before = layer.g.detach().clone()
    layer(torch.rand(3, 4))
    optimizer.step()
    assert torch.equal(layer.g, before)


def test_a_unit_without_input_is_left_as_it_is():
    layer = CWALinear(4, 2)
    optimizer = still(layer)
    optim.Homeostasis(optimizer, layer, rate=0.5)
    before = layer.g.detach().clone()
    layer(torch.zeros(3, 4))
    optimizer.step()
    assert torch.equal(layer.g, before)


@pytest.mark.parametrize("rate", [0.0, -0.1, 1.5, float("nan")])
def test_a_rate_out_of_range_is_refused(rate):
    layer = CWALinear(4, 2)
    with pytest.raises(InputError, match="rate"):
        optim.Homeostasis(still(layer), layer, rate)
