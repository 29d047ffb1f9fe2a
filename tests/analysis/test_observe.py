"""Looking inside a network."""

import pytest
import torch

from conductance import init
from conductance.analysis import observe
from conductance.analysis.internals import internals
from conductance.errors import InputError
from conductance.models import create_model
from conductance.nn import ConductanceLayer
from conductance.nn.gates import Gate


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
    with pytest.raises(InputError):
        observe(model, torch.rand(5, 1, 3, 3))
    assert not norm.training
    assert all(module.training for module in model.modules() if module is not norm)


def sent(model, batch):
    """What every conductance layer hands on, by its name, in evaluation mode."""
    outputs = {}
    for name, module in model.named_modules():
        if isinstance(module, ConductanceLayer):
            module.register_forward_hook(lambda *seen, name=name: outputs.update({name: seen[-1]}))
    model.eval()(batch)
    return outputs


@pytest.mark.parametrize("options", [
    ("fcn", "cwa", {"learn_gate": True}, {}),
    ("fcn", "cwa_li", {}, {}),
    ("fcn", "cwa", {"activation": "full_range"}, {}),
    ("resnet18", "cwa", {}, {"shortcut": "conductance"}),
], ids=["gates", "interneurons", "full_range", "conductances of a shortcut"])  # fmt: skip
def test_what_is_seen_is_what_is_sent_on(options):
    architecture, family, layer_options, choices = options
    model = create_model(architecture, family, (1, 8, 8), 3, widths=(6, 4), layer_options=layer_options, **choices)
    init.lognormal_(model)
    for module in model.modules():
        if isinstance(module, Gate):
            torch.nn.init.constant_(module.threshold, 0.1)
    batch = torch.rand(5, 1, 8, 8)
    seen, outputs = {one.name: one.p for one in observe(model, batch)}, sent(model, batch)
    assert len(seen) > 1
    for name, p in seen.items():
        if model.get_submodule(name).activation in ("relu", "full_range"):
            torch.testing.assert_close(p, outputs[name])


def test_a_gate_that_is_shut_counts_as_shut():
    model = create_model("fcn", "cwa", (1, 8, 8), 3, widths=(6,), layer_options={"learn_gate": True})
    torch.nn.init.constant_(model.hidden[0].gate.threshold, 0.99)
    assert internals(model, torch.rand(5, 1, 8, 8))["layers"][0]["active_fraction"] == 0
