"""At the paper's start, where conductances are nearly equal, float32 keeps the gradients of float64."""

import copy

import pytest
import torch
from torch.nn import functional as F

from conductance import init
from conductance.models import create_model

NETWORKS = {
    "fcn": {"widths": (100, 50, 30)},
    "cnn": {"widths": (16, 32, 64)},
    "resnet18": {"widths": (8, 16, 16, 32)},
}


def gradients(model, images):
    """Those of all parameters, and which units are open."""
    is_open = []
    rectified = [
        part for part in model.modules() if getattr(part, "activation", None) == "relu" or hasattr(part, "join")
    ]
    hooks = [part.register_forward_hook(lambda *given: is_open.append(given[-1] > 0)) for part in rectified]
    loss = F.cross_entropy(model(images), torch.arange(len(images)) % 10)
    for hook in hooks:
        hook.remove()
    return torch.autograd.grad(loss, list(model.parameters())), is_open


@pytest.mark.parametrize("network", NETWORKS)
def test_gradients_at_the_papers_start_are_those_of_float64(network):
    compared = 0
    for seed in range(4):
        torch.manual_seed(seed)
        options = {"nonnegative": "rectified", "resting_conductance": 1.0}
        model = init.glorot_(create_model(network, "cwa", (3, 32, 32), 10, layer_options=options, **NETWORKS[network]))
        images = F.interpolate(torch.rand(6, 3, 8, 8), size=(32, 32), mode="bilinear")
        exact, open_exactly = gradients(copy.deepcopy(model).double(), images.double())
        found, is_open = gradients(model, images)
        if not all(map(torch.equal, is_open, open_exactly)):
            continue  # a unit at z = 0 to within rounding is open in one and closed in the other
        for got, wanted in zip(found, exact, strict=True):
            assert (got - wanted).norm() <= 1e-3 * wanted.norm()
        compared += 1
    assert compared >= 2
