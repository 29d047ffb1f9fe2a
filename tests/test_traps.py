"""Traps of the paper's literal recipe, and that the default one does not fall into them."""

import pytest
import torch
from torch import nn

from conductance import init
from conductance.analysis import observe
from conductance.models import create_model


def images():
    """Smooth, half of them dark, of one sign: as CIFAR's are once scaled to [-0.3, 1] and clipped."""
    coarse = torch.rand(32, 3, 6, 6)
    return (nn.functional.interpolate(coarse, size=(32, 32), mode="bilinear") * 1.3 - 0.3).clamp(0, 1)


def active_fractions(model, batch):
    return [float((seen.z > 0).float().mean()) for seen in observe(model, batch)]


def test_the_literal_fully_connected_recipe_is_dead_at_the_start():
    """Section 4.3's e_r = -0.4 cannot be reached by what Glorot conductances of a silent layer send on."""
    model = create_model(
        "fcn", "cwa", (3, 32, 32), 10, layer_options={"resting_conductance": 1.0, "resting_potential": -0.4}
    )
    init.glorot_(model)
    assert active_fractions(model, images())[1:] == [0.0, 0.0]


def test_with_a_resting_potential_of_zero_it_lives():
    model = init.glorot_(create_model("fcn", "cwa", (3, 32, 32), 10, layer_options={"resting_conductance": 1.0}))
    assert max(active_fractions(model, images())) > 0.1


@pytest.mark.parametrize("architecture", ["fcn", "cnn", "resnet18"])
@pytest.mark.parametrize("seed", range(3))
def test_heavy_tails_twins_and_balance_leave_every_layer_alive(architecture, seed):
    torch.manual_seed(seed)
    widths = {"resnet18": {"widths": (16, 32, 64, 128)}}.get(architecture, {})
    model = create_model(architecture, "cwa", (3, 32, 32), 10, **widths)
    batch = images()
    init.balance_(init.twin_(init.lognormal_(model)), batch)
    assert all(0.2 < fraction < 0.8 for fraction in active_fractions(model, batch))
