"""Dale's law holds after every step."""

import pytest
import torch

from conductance import init, optim
from conductance.models import create_model
from conductance.nn import CWALinear


def silence_and_step(optimizer, layer, gradient):
    layer.g.grad = gradient
    optimizer.step()


@pytest.mark.parametrize("build", [
    lambda m: optim.adam(m, 0.5),
    lambda m: torch.optim.SGD(m.parameters(), lr=1000.0),
    lambda m: torch.optim.RMSprop(m.parameters(), lr=0.5),
])  # fmt: skip
def test_projected_conductances_are_never_negative_whatever_the_optimiser(build):
    model = create_model(
        "fcn", "cwa", (1, 4, 4), 3, widths=(8, 6), layer_options={"nonnegative": "projected", "learn_resting": True}
    )
    optimizer = build(model)
    if type(optimizer) is not torch.optim.Adam:
        optim.keep_nonnegative(optimizer, model)
    touched = False
    for _ in range(5):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(torch.rand(16, 1, 4, 4)), torch.randint(3, (16,))).backward()
        optimizer.step()
        for parameter in optim.projected_parameters(model):
            assert bool((parameter >= 0).all())
            touched |= bool((parameter == 0).any())
    assert touched  # otherwise the projection had nothing to do


def test_a_silent_projected_synapse_comes_back_and_a_rectified_one_does_not():
    for form, returns in (("projected", True), ("rectified", False)):
        layer = CWALinear(4, 2, nonnegative=form)
        G = torch.ones(2, 4)
        G[0, 0] = 0
        layer.set_conductance(G)
        if form == "rectified":
            with torch.no_grad():
                layer.g[0, 0] = -1.5
        layer(torch.ones(1, 4)).sum().backward()
        assert (layer.g.grad[0, 0] != 0) == returns


def test_readout_and_conductances_have_their_own_steps():
    model = create_model("fcn", "cwa", (1, 4, 4), 3, widths=(8,))
    optimizer = optim.adam(model, 0.1, readout_learning_rate=0.001)
    steps = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    assert steps[id(model.hidden[0].g)] == 0.1
    assert steps[id(model.readout.weight)] == steps[id(model.readout.bias)] == 0.001
    assert len(steps) == len(list(model.parameters()))


def test_a_network_without_conductances_gets_one_group():
    model = create_model("cnn", "affine_bn", (1, 8, 8), 3, widths=(4,))
    (group,) = optim.adam(model, 0.1, readout_learning_rate=0.001).param_groups
    assert group["lr"] == 0.001


def test_projection_leaves_the_other_forms_alone():
    layer = CWALinear(4, 2, nonnegative="rectified")
    with torch.no_grad():
        layer.g.fill_(-0.5)
    optim.project_(layer)
    assert layer.g.unique().tolist() == [-0.5]


def test_projection_takes_any_mixture_of_types_and_hides_no_nan():
    types = (torch.float32, torch.float64)
    layers = torch.nn.ModuleList(CWALinear(2, 1, nonnegative="projected", dtype=dtype) for dtype in types)
    with torch.no_grad():
        for layer in layers:
            layer.g.copy_(torch.tensor([[-1.0, float("nan")]]))
    optim.project_(layers)
    assert [layer.g[0, 0].item() for layer in layers] == [0, 0]
    assert all(layer.g[0, 1].isnan() for layer in layers)
    optim.project_(torch.nn.Linear(2, 1))  # nothing to project


def test_a_small_network_learns():
    model = create_model("fcn", "cwa", (1, 4, 4), 2, widths=(16,), layer_options={"nonnegative": "projected"})
    init.balance_(init.twin_(init.lognormal_(model)), torch.rand(50, 1, 4, 4))
    optimizer = optim.adam(model, 0.1, readout_learning_rate=0.01)
    for _ in range(100):
        images = torch.rand(64, 1, 4, 4)
        labels = (images[:, 0, :2].mean((1, 2)) > images[:, 0, 2:].mean((1, 2))).long()
        loss = torch.nn.functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.3
