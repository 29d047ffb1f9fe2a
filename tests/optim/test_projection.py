"""Dale's law holds after every step."""

from functools import partial

import pytest
import torch

from conductance import optim
from conductance.models import create_model
from conductance.nn import CWALinear


@pytest.mark.parametrize("build", [
    partial(optim.create_optimizer, name="muon", lr=0.5),
    partial(optim.create_optimizer, name="adam", lr=0.5),
    partial(optim.create_optimizer, name="sgd", lr=1000.0),
    lambda m: torch.optim.SGD(m.parameters(), lr=1000.0),
    lambda m: torch.optim.RMSprop(m.parameters(), lr=0.5),
])  # fmt: skip
def test_projected_conductances_are_never_negative_whatever_the_optimizer(build):
    model = create_model(
        "fcn", "cwa", (1, 4, 4), 3, widths=(8, 6), layer_options={"nonnegative": "projected", "learn_resting": True}
    )
    optimizer = build(model)
    if isinstance(optimizer, (torch.optim.SGD, torch.optim.RMSprop)):
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
