"""Looking inside a network."""

import torch

from conductance.models import create_model
from conductance.nn import observe


def test_every_conductance_layer_is_seen_in_order_and_the_network_is_left_as_it_was():
    model = create_model("resnet18", "cwa_bn", (1, 8, 8), 10, widths=(4, 6), blocks=1)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    seen = observe(model, torch.rand(3, 1, 8, 8))
    assert [o.name for o in seen] == [
        "stem.0", "stages.0.0.first.0", "stages.0.0.second.0", "stages.1.0.first.0", "stages.1.0.second.0",
        "stages.1.0.shortcut.0",
    ]  # fmt: skip
    assert model.training
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_what_is_seen_is_what_the_network_computed():
    model = create_model("fcn", "cwa", (1, 4, 4), 3, widths=(6, 4))
    batch = torch.rand(5, 1, 4, 4)
    first, second = observe(model, batch)
    torch.testing.assert_close(first.p, model.hidden[0](batch.flatten(1)))
    torch.testing.assert_close(
        second.z, (second.excitation - second.inhibition) / (second.excitation + second.inhibition)
    )
    torch.testing.assert_close(model.readout(second.p), model(batch))
