"""Looking inside a network."""

import pytest
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


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_compiled_model_is_seen_too():
    model = create_model("fcn", "cwa", (1, 4, 4), 3, widths=(6, 4))
    batch = torch.rand(5, 1, 4, 4)
    compiled = torch.compile(model, backend="eager")
    compiled(batch)
    torch.testing.assert_close([one.z for one in observe(compiled, batch)], [one.z for one in observe(model, batch)])


def test_each_module_goes_back_to_its_own_mode_whatever_happens():
    model = create_model("fcn", "cwa_bn", (1, 4, 4), 3, widths=(6, 4))
    norm = next(module for module in model.modules() if isinstance(module, torch.nn.BatchNorm1d)).eval()
    observe(model, torch.rand(5, 1, 4, 4))
    with pytest.raises(RuntimeError):
        observe(model, torch.rand(5, 1, 3, 3))
    assert not norm.training
    assert all(module.training for module in model.modules() if module is not norm)
