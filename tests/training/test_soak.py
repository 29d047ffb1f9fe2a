"""A thousand steps of every family, form and precision with hostile steps and inputs: all stays in its range."""

from itertools import product

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from conductance.errors import ConductanceError
from conductance.models import create_model
from conductance.nn import CWARNN, CWALinear
from conductance.optim import create_optimizer

STEPS = 1000
FAMILIES = ("cwa", "cwa_li", "cwa_bn", "affine", "affine_bn", "absnorm")
FORMS = ("clamped", "rectified", "softplus")
PRECISIONS = (torch.float32, torch.float64, torch.bfloat16)
HOSTILE_RATES = (1e-8, 1.0, 1e4)


def hostile_images(step, dtype):
    """Silence, everything at once, one pixel, noise, and what half precision rounds."""
    images = torch.zeros(8, 1, 6, 6)
    kind = step % 5
    if kind == 1:
        images.fill_(1.0)
    elif kind == 2:
        images[:, :, 2, 3] = 1.0
    elif kind == 3:
        images = torch.rand(8, 1, 6, 6)
    elif kind == 4:
        images = torch.rand(8, 1, 6, 6).pow(40)
    return images.to(dtype)


def outputs_of_layers(model, seen):
    def look(layer, args, output):
        del args
        seen.append((output.detach(), 0 if layer.activation == "relu" else -1))

    return [each.register_forward_hook(look) for each in model.modules() if isinstance(each, CWALinear)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "form", "dtype", "rate"),
    [
        (family, form, dtype, rate)
        for family, form, dtype, rate in product(FAMILIES, FORMS, PRECISIONS, HOSTILE_RATES)
        if family.startswith("cwa") or form == "clamped"
    ],
)
def test_a_thousand_hostile_steps(family, form, dtype, rate):
    options = {"nonnegative": form} if family.startswith("cwa") else {}
    model = create_model("fcn", family, (1, 6, 6), 3, widths=(12, 8), layer_options=options).to(dtype)
    optimizer = create_optimizer(model, "muon" if dtype != torch.bfloat16 else "adam", rate)
    seen, labels = [], torch.arange(8) % 3
    outputs_of_layers(model, seen)
    for step in range(STEPS):
        loss = cross_entropy(model(hostile_images(step, dtype)).float(), labels)
        optimizer.zero_grad()
        loss.backward()
        try:
            optimizer.step()
        except ConductanceError:
            break  # it says that a gradient is not finite
        if not all(bool(parameter.isfinite().all()) for parameter in model.parameters()):
            break  # the Trainer ends here, with the last good epoch kept
        for output, least in seen:
            assert bool(((output >= least) & (output <= 1)).all()), (family, form, dtype, rate, step)
        seen.clear()
    else:
        step = STEPS
    if family.startswith("cwa") and rate <= 1.0:
        assert step == STEPS


@pytest.mark.slow
@pytest.mark.parametrize("rate", HOSTILE_RATES)
def test_a_thousand_hostile_steps_of_a_recurrent_layer(rate):
    layer, readout = CWARNN(6, 10), nn.Linear(10, 3)
    model = nn.ModuleList([layer, readout])
    optimizer = create_optimizer(model, "adam", rate)
    for step in range(STEPS):
        outputs, potentials = layer(hostile_images(step, torch.float32).view(8, 6, 6))
        cross_entropy(readout(outputs[-1]), torch.arange(6) % 3).backward()
        optimizer.step()
        optimizer.zero_grad()
        assert bool((potentials.abs() <= 1).all())
        if not all(bool(parameter.isfinite().all()) for parameter in model.parameters()):
            break
    assert rate > 1.0 or step == STEPS - 1
