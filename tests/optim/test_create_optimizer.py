"""One call gives a network its optimizer: which parameter moves by which rule, and how far."""

import copy
from itertools import pairwise

import pytest
import torch
from torch import nn

from conductance import init, optim
from conductance.errors import InputError, UnknownNameError
from conductance.models import create_model
from conductance.nn import CWALinear, LateralLinear

IMAGES = torch.rand(64, 1, 4, 4, generator=torch.Generator().manual_seed(0))


def network(family="cwa", **options):
    model = create_model("fcn", family, (1, 4, 4), 3, widths=(16, 12), layer_options=options)
    return init.lognormal_(model) if family == "cwa" else model


def clamped():
    return network(learn_resting=True)


def steps_of(optimizer):
    return {id(p): group["lr"] * group["scale"] for group in optimizer.param_groups for p in group["params"]}


@pytest.mark.parametrize("name", optim.OPTIMIZERS)
def test_every_parameter_is_in_one_group(name):
    model = clamped()
    parameters = [p for group in optim.create_optimizer(model, name).param_groups for p in group["params"]]
    assert sorted(map(id, parameters)) == sorted(map(id, model.parameters()))


def test_readout_and_leaks_have_their_own_steps():
    model = clamped()
    steps = steps_of(optim.create_optimizer(model, "muon", 0.2, readout_lr=0.001, leak_lr=0.01))
    assert steps[id(model.hidden[0].g)] == pytest.approx(0.2 * model.hidden[0].conductance.mean().item())
    assert steps[id(model.readout.weight)] == steps[id(model.readout.bias)] == 0.001
    for layer in model.hidden:  # a hundredth of what 32 (the image is doubled) or 16 synapses have together
        total = layer.conductance.flatten(1).sum(1).mean().item()
        assert steps[id(layer.leak.pair)] == pytest.approx(0.01 * total)


@pytest.mark.parametrize("family", ["cwa", "absnorm", "cwa_li"])
def test_left_out_the_leaks_step_is_the_readouts(family):
    model = network(family, learn_resting=True)
    steps = steps_of(optim.create_optimizer(model, "adam", 0.2, readout_lr=0.001))
    assert {
        steps[id(layer.learned_leak)] for layer in optim.hidden_synapses(model) if layer.learned_leak is not None
    } == {0.001}


@pytest.mark.parametrize("family", ["affine", "affine_bn", "absnorm", "cwa"])
def test_all_hidden_layers_are_found_and_the_readout_is_none_of_them(family):
    model = network(family)
    found = {id(layer.parameter) for layer in optim.hidden_synapses(model)}
    assert len(found) == 2
    assert id(model.readout.weight) not in found


def test_in_a_users_network_the_last_affine_layer_is_the_readout():
    model = nn.Sequential(CWALinear(4, 6), CWALinear(6, 6), nn.Linear(6, 2))
    assert [layer.parameter.shape for layer in optim.hidden_synapses(model)] == [(6, 4), (6, 6)]
    assert len(optim.hidden_synapses(nn.Sequential(CWALinear(4, 6), CWALinear(6, 6)))) == 2


@pytest.mark.parametrize("name", ["muon", "adam"])
def test_conductances_move_by_their_share_of_the_mean(name):
    model = create_model("fcn", "cwa", (1, 4, 4), 3, widths=(16, 12), layer_options={"nonnegative": "clamped"})
    for layer, mean in zip(init.conductance_layers(model), (5.0, 0.2), strict=True):
        layer.set_conductance(mean * (0.5 + torch.rand_like(layer.g)))
    before = [layer.g.detach().clone() for layer in init.conductance_layers(model)]
    optimizer = optim.create_optimizer(model, name, 0.01)
    nn.functional.cross_entropy(model(IMAGES), torch.arange(64) % 3).backward()
    optimizer.step()
    for layer, start, mean in zip(init.conductance_layers(model), before, (5.0, 0.2), strict=True):
        assert (layer.g.detach() - start).square().mean().sqrt() == pytest.approx(0.01 * mean, rel=0.4)


@pytest.mark.parametrize("name", optim.OPTIMIZERS)
def test_a_small_network_learns(name):
    torch.manual_seed(0)
    model = create_model("fcn", "cwa", (1, 4, 4), 2, widths=(16,), layer_options={"nonnegative": "clamped"})
    init.balance_(init.twin_(init.lognormal_(model)), torch.rand(50, 1, 4, 4))
    optimizer = optim.create_optimizer(model, name, readout_lr=0.01)
    for _ in range(150):
        images = torch.rand(64, 1, 4, 4)
        labels = (images[:, 0, :2].mean((1, 2)) > images[:, 0, 2:].mean((1, 2))).long()
        loss = nn.functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.55  # 0.69 by chance


@pytest.mark.parametrize("name", optim.OPTIMIZERS)
def test_training_goes_on_from_its_state(name):
    def steps(model, optimizer, number):
        for _ in range(number):
            nn.functional.cross_entropy(model(IMAGES), torch.arange(64) % 3).backward()
            optimizer.step()
            optimizer.zero_grad()

    whole = clamped()
    parted = copy.deepcopy(whole)
    first = optim.create_optimizer(whole, name)
    steps(whole, first, 4)
    begun = optim.create_optimizer(parted, name)
    steps(parted, begun, 2)
    resumed = optim.create_optimizer(parted, name, lr=9.0)
    resumed.load_state_dict(copy.deepcopy(begun.state_dict()))
    steps(parted, resumed, 2)
    for a, b in zip(whole.parameters(), parted.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize(("choices", "error", "message"), [
    ({"name": "mewon"}, UnknownNameError, "mewon"),
    ({"lr": -1.0}, InputError, "lr=-1.0: a step size must not be negative"),
    ({"leak_lr": float("inf")}, InputError, "leak_lr=inf"),
    ({"name": "adam", "momentum": 0.9}, InputError, "Adam has betas instead"),
    ({"momentum": 1.0}, InputError, "momentum=1.0: must lie in"),
    ({"block": 0}, InputError, "block=0: at least one unit"),
])  # fmt: skip
def test_choices_that_make_no_sense(choices, error, message):
    with pytest.raises(error, match=message):
        optim.create_optimizer(clamped(), **choices)


def test_exponentiated_gradient_needs_conductances_that_are_parameters():
    with pytest.raises(InputError, match="nonnegative='clamped'"):
        optim.create_optimizer(network(nonnegative="softplus"), "eg")


@pytest.mark.parametrize("name", ["muon", "adam", "sgd"])
def test_a_layer_that_begins_at_zero_learns(name):
    model = nn.Sequential(nn.Linear(4, 6), nn.Linear(6, 2))
    nn.init.zeros_(model[0].weight)
    optimizer = optim.create_optimizer(model, name)
    model(torch.rand(8, 4)).sum().backward()
    optimizer.step()
    assert model[0].weight.abs().max() > 1e-3


def test_a_learned_leak_has_its_own_step_beside_synapses_that_do_not_learn():
    model = clamped()
    learning = steps_of(optim.create_optimizer(model, leak_lr=0.01))[id(model.hidden[0].leak.pair)]
    model.hidden[0].g.requires_grad_(False)
    assert steps_of(optim.create_optimizer(model, leak_lr=0.01))[id(model.hidden[0].leak.pair)] == learning


def test_synapses_that_two_layers_share_are_moved_once():
    model = nn.Sequential(CWALinear(4, 4), CWALinear(4, 4), nn.Linear(4, 2))
    model[1].g = model[0].g
    assert len(optim.hidden_synapses(model)) == 1
    optim.create_optimizer(model, centered=True)


def test_muon_takes_as_many_units_together_as_it_is_told():
    layer = CWALinear(6, 8)
    blocks = {
        block: next(
            group["block"]
            for group in optim.create_optimizer(nn.Sequential(layer), "muon", block=block).param_groups
            if "block" in group
        )
        for block in (2, 128)
    }
    assert blocks == {2: 2, 128: 128}


@pytest.mark.parametrize("name", optim.OPTIMIZERS)
def test_closed_synapses_stay_within_reach(name):
    """The package's own optimizer leaves no g below 0, from where the next gradient would open nothing for long."""
    model = network(nonnegative="clamped", learn_resting=True)
    optimizer = optim.create_optimizer(model, name, lr=3.0)
    for _ in range(4):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(IMAGES), torch.arange(64) % 3).backward()
        optimizer.step()
    parameters = [parameter for layer in init.conductance_layers(model) for parameter in (layer.g, layer.leak.pair)]
    assert all(bool((parameter >= 0).all()) for parameter in parameters)
    assert any(bool((parameter == 0).any()) for parameter in parameters) or name == "eg"


@pytest.mark.parametrize(("depth", "lr"), [(0, 0.1), (1, 0.1), (4, 0.1), (8, 0.025), (20, 0.004)])
def test_the_default_step_falls_with_the_depth(depth, lr):
    layers = [CWALinear(4, 4) for _ in range(depth)]
    model = nn.Sequential(*layers, nn.Linear(4, 2))
    for example in (None, torch.rand(2, 4)):
        groups = optim.create_optimizer(model, example=example).param_groups
        assert [group["lr"] for group in groups] == pytest.approx([lr] * depth + [3e-3])


def test_interneurons_and_branches_do_not_make_a_network_deeper():
    class Branched(nn.Module):
        def __init__(self):
            super().__init__()
            self.branches = nn.ModuleList([LateralLinear(4, 4) for _ in range(8)])
            self.readout = nn.Linear(4, 2)

        def forward(self, p):
            return self.readout(torch.stack([branch(p) for branch in self.branches]).mean(0))

    model = Branched()
    assert optim.create_optimizer(model).param_groups[0]["lr"] == pytest.approx(0.025)
    assert optim.create_optimizer(model, example=torch.rand(2, 4)).param_groups[0]["lr"] == 0.1


def test_a_deep_stack_of_default_layers_learns_at_the_default_step():
    torch.manual_seed(0)
    sizes = [16, *[40] * 10]
    model = nn.Sequential(*(CWALinear(a, b) for a, b in pairwise(sizes)), nn.Linear(40, 2))
    optimizer = optim.create_optimizer(model)
    for _ in range(150):
        p = torch.rand(64, 16)
        loss = nn.functional.cross_entropy(model(p), (p[:, :8].mean(1) > p[:, 8:].mean(1)).long())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.5  # 0.69 by chance
