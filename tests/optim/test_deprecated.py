"""Names of 0.1 work for one more release, and say what is in their place."""

import pytest
import torch
from torch import nn

from conductance import optim
from conductance.nn import CWALinear


@pytest.mark.parametrize(("old", "new"), [
    ("learning_rate", "lr"),
    ("readout_learning_rate", "readout_lr"),
    ("leak_learning_rate", "leak_lr"),
])  # fmt: skip
def test_old_names_of_step_sizes(old, new):
    model = nn.Sequential(CWALinear(4, 4, learn_resting=True), nn.Linear(4, 2))
    with pytest.warns(DeprecationWarning, match=f"{old}=.* is now {new}="):
        optimizer = optim.create_optimizer(model, **{old: 0.25})
    assert optimizer.state_dict() == optim.create_optimizer(model, **{new: 0.25}).state_dict()
    with pytest.raises(TypeError, match=old):
        optim.create_optimizer(model, **{old: 0.25, new: 0.25})


def test_optimizers_of_one_rule():
    parameter = nn.Parameter(torch.rand(4, 6))
    with pytest.warns(DeprecationWarning, match="rule='muon'"):
        muon = optim.Muon([{"params": [parameter], "size": 2.0}], lr=0.2, kinds=(3, 3))
    (group,) = muon.param_groups
    assert {key: group[key] for key in ("rule", "lr", "scale", "kinds", "betas")} == {
        "rule": "muon", "lr": 0.2, "scale": 2.0, "kinds": (3, 3), "betas": (0.95, 0.99),
    }  # fmt: skip
    with pytest.warns(DeprecationWarning, match="rule='eg'"):
        eg = optim.ExponentiatedGradient([parameter], 0.2)
    assert eg.param_groups[0]["rule"] == "eg"


def test_several_optimizers_together():
    one, other = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    with pytest.warns(DeprecationWarning, match="one parameter group for each rule"):
        both = optim.Together([torch.optim.SGD([one], 1.0), torch.optim.SGD([other], 2.0)])
    (one.sum() + other.sum()).backward()
    both.step()
    assert (one.tolist(), other.tolist()) == ([0, 0], [-1, -1])
    both.load_state_dict(both.state_dict())


def test_projections_do_nothing():
    layer = CWALinear(4, 4)
    before = layer.g.data.sub_(1).clone()
    with pytest.warns(DeprecationWarning, match=r"layers read max\(g, 0\)"):
        optim.project_(layer)
    with pytest.warns(DeprecationWarning, match=r"keep_nonnegative goes in 0\.3"):
        optim.keep_nonnegative(torch.optim.SGD(layer.parameters(), lr=0.0), layer).remove()
    with pytest.warns(DeprecationWarning, match=r"projected_parameters goes in 0\.3"):
        assert list(optim.projected_parameters(layer)) == []
    assert torch.equal(layer.g, before)


def test_names():
    with pytest.warns(DeprecationWarning, match=r"optim\.Centering"):
        assert optim.Centring is optim.Centering
    with pytest.warns(DeprecationWarning, match="lr=None"):
        assert set(optim.LEARNING_RATES) == set(optim.OPTIMIZERS)
    with pytest.raises(AttributeError, match="no attribute 'Mewon'"):
        optim.Mewon  # noqa: B018
