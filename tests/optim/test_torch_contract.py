"""What torch documents of an optimizer holds for `create_optimizer`'s: state, hooks, copies, schedulers, scalers."""

import copy
import io
import math
import pickle
from functools import partial
from itertools import pairwise

import pytest
import torch
from accelerate import Accelerator
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.distributed.checkpoint.state_dict import get_optimizer_state_dict, set_optimizer_state_dict
from torch.optim import lr_scheduler

from conductance.errors import InputError, UnknownNameError
from conductance.nn import CWAConv2d, CWALinear
from conductance.optim import OPTIMIZERS, ConductanceOptimizer, create_optimizer

P = torch.rand(16, 8, generator=torch.Generator().manual_seed(0))


def network(seed=0):
    torch.manual_seed(seed)
    options = {"nonnegative": "clamped", "learn_resting": True}
    return nn.Sequential(CWALinear(8, 6, activation="relu", **options), CWALinear(6, 4, **options), nn.Linear(4, 2))


def step(model, optimizer, number=1, closure=False):
    def loss():
        optimizer.zero_grad()
        loss = model(P).square().sum()
        loss.backward()
        return loss

    for _ in range(number):
        if closure:
            assert optimizer.step(loss) > 0
        else:
            loss()
            assert optimizer.step() is None


def values(model):
    return [parameter.detach().clone() for parameter in model.parameters()]


def equal(one, other):
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def both(name="muon", **options):
    model = network()
    return model, create_optimizer(model, name, leak_lr=0.01, **options)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_state_is_keyed_by_parameter(name):
    model, optimizer = both(name)
    assert isinstance(optimizer, torch.optim.Optimizer)
    step(model, optimizer)
    assert set(optimizer.state) == set(model.parameters())
    state = optimizer.state_dict()
    assert set(state) == {"state", "param_groups"}
    assert set(state["state"]) == set(range(len(list(model.parameters()))))
    assert [group["lr"] for group in state["param_groups"]] == [group["lr"] for group in optimizer.param_groups]
    assert torch.load(_saved(state), weights_only=True).keys() == state.keys()


def _saved(state):
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return file


@settings(deadline=None, max_examples=25)
@given(
    st.lists(st.integers(1, 6), min_size=2, max_size=4),
    st.sampled_from(OPTIMIZERS),
    st.integers(0, 3),
    st.integers(0, 3),
    st.booleans(),
)
def test_training_continues_from_a_saved_state_as_if_never_interrupted(widths, name, before, after, closure):
    def made(seed):
        torch.manual_seed(seed)
        widths_ = [8, *(2 * width for width in widths)]
        layers = [CWALinear(a, b) for a, b in pairwise(widths_)]
        model = nn.Sequential(*layers, nn.Linear(widths_[-1], 2))
        return model, create_optimizer(model, name, lr=0.01 * (1 + seed))

    whole, optimizer = made(0)
    step(whole, optimizer, before, closure)
    parted, resumed = made(1)
    parted.load_state_dict(whole.state_dict())
    resumed.load_state_dict(torch.load(_saved(optimizer.state_dict()), weights_only=True))
    step(whole, optimizer, after, closure)
    step(parted, resumed, after, closure)
    assert equal(values(whole), values(parted))


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda both: pickle.loads(pickle.dumps(both))])
def test_a_copy_steps_its_own_network(copied, name):
    model, optimizer = both(name, lr=0.01)
    step(model, optimizer)
    twin, twins = copied((model, optimizer))
    before = values(model)
    step(twin, twins)
    assert equal(values(model), before)
    step(model, optimizer)
    assert equal(values(model), values(twin))


def test_every_hook_of_torch_is_called():
    model, optimizer = both()
    calls = []
    for when in (
        "step_pre",
        "step_post",
        "state_dict_pre",
        "state_dict_post",
        "load_state_dict_pre",
        "load_state_dict_post",
    ):
        getattr(optimizer, f"register_{when}_hook")(partial(lambda when, *_: calls.append(when), when))
    step(model, optimizer)
    optimizer.load_state_dict(optimizer.state_dict())
    assert calls == [
        "step_pre", "step_post", "state_dict_pre", "state_dict_post", "load_state_dict_pre", "load_state_dict_post",
    ]  # fmt: skip


SCHEDULERS = {
    "LambdaLR": lambda o: lr_scheduler.LambdaLR(o, lambda step: 0.9**step),
    "MultiplicativeLR": lambda o: lr_scheduler.MultiplicativeLR(o, lambda _: 0.9),
    "StepLR": lambda o: lr_scheduler.StepLR(o, 1, 0.5),
    "MultiStepLR": lambda o: lr_scheduler.MultiStepLR(o, [1, 2], 0.5),
    "ConstantLR": lambda o: lr_scheduler.ConstantLR(o, 0.5, 2),
    "LinearLR": lambda o: lr_scheduler.LinearLR(o, 0.3, total_iters=3),
    "ExponentialLR": lambda o: lr_scheduler.ExponentialLR(o, 0.9),
    "SequentialLR": lambda o: lr_scheduler.SequentialLR(
        o, [lr_scheduler.ConstantLR(o, 0.5, 1), lr_scheduler.ExponentialLR(o, 0.9)], [1]
    ),
    "CosineAnnealingLR": lambda o: lr_scheduler.CosineAnnealingLR(o, 4),
    "ChainedScheduler": lambda o: lr_scheduler.ChainedScheduler(
        [lr_scheduler.ConstantLR(o, 0.5, 1), lr_scheduler.ExponentialLR(o, 0.9)]
    ),
    "ReduceLROnPlateau": lambda o: lr_scheduler.ReduceLROnPlateau(o, patience=0),
    "CyclicLR": lambda o: lr_scheduler.CyclicLR(o, [g["lr"] for g in o.param_groups], [1.0] * len(o.param_groups), 2),
    "CosineAnnealingWarmRestarts": lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 2),
    "OneCycleLR": lambda o: lr_scheduler.OneCycleLR(o, [g["lr"] for g in o.param_groups], 6),
    "PolynomialLR": lambda o: lr_scheduler.PolynomialLR(o, 4),
    "SWALR": lambda o: torch.optim.swa_utils.SWALR(o, 0.5, anneal_epochs=2),
}


def test_no_scheduler_of_torch_is_left_out():
    assert set(lr_scheduler.__all__) - {"LRScheduler"} == set(SCHEDULERS) - {"SWALR"}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("kind", SCHEDULERS)
def test_steps_follow_every_scheduler(kind, name):
    """The same steps as with the scheduled step sizes and momenta set by hand."""
    model, optimizer = both(name)
    by_hand, other = both(name)
    rates = [group["lr"] for group in optimizer.param_groups]
    scheduler = SCHEDULERS[kind](optimizer)
    scheduled = set()
    for _ in range(4):
        scheduled |= {group["lr"] for group in optimizer.param_groups}
        for group, wanted in zip(other.param_groups, optimizer.param_groups, strict=True):
            group.update({key: wanted[key] for key in ("lr", "betas")})
        step(model, optimizer)
        step(by_hand, other)
        scheduler.step(*([1.0] if kind == "ReduceLROnPlateau" else []))
    assert equal(values(model), values(by_hand))
    assert not scheduled <= set(rates)


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("kind", ["CyclicLR", "OneCycleLR"])
def test_cycled_momentum_acts_on_every_parameter(kind, name):
    moved = []
    for momenta in ((0.3, 0.4), (0.8, 0.9)):
        model, optimizer = both(name)
        limits = {"cycle_momentum": True, "base_momentum": momenta[0], "max_momentum": momenta[1]}
        rates = [group["lr"] for group in optimizer.param_groups]
        if kind == "CyclicLR":
            scheduler = lr_scheduler.CyclicLR(optimizer, rates, rates, 2, **limits)
        else:
            scheduler = lr_scheduler.OneCycleLR(optimizer, rates, 6, **limits)
        for _ in range(4):
            step(model, optimizer)
            scheduler.step()
        moved.append(values(model))
    assert not any(torch.equal(one, other) for one, other in zip(*moved, strict=True))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_gradient_scaler_changes_nothing_and_skips_steps_that_overflow(name):
    model, optimizer = both(name, centered=True)
    plain, other = both(name, centered=True)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    for _ in range(3):
        optimizer.zero_grad()
        scaler.scale(model(P).square().sum()).backward()
        scaler.step(optimizer)
        scaler.update()
        step(plain, other)
    for one, two in zip(values(model), values(plain), strict=True):
        torch.testing.assert_close(one, two)
    before = values(model)
    scaler.scale(model(P).square().sum() * math.inf).backward()
    scaler.step(optimizer)
    assert equal(values(model), before)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_accelerate_prepares_it(name):
    plain, other = both(name)
    model, optimizer = Accelerator(cpu=True).prepare(*both(name))
    step(plain, other, 3)
    for _ in range(3):
        optimizer.zero_grad()
        model(P).square().sum().backward()
        optimizer.step()
    assert equal(values(model), values(plain))


def test_accelerate_saves_and_restores_it(tmp_path):
    accelerator = Accelerator(cpu=True)
    model, optimizer = accelerator.prepare(*both())
    step(model, optimizer.optimizer, 2)
    accelerator.save_state(str(tmp_path))
    step(model, optimizer.optimizer, 2)
    wanted = values(model)
    step(model, optimizer.optimizer, 3)
    accelerator.load_state(str(tmp_path))
    step(model, optimizer.optimizer, 2)
    assert equal(values(model), wanted)


@pytest.mark.parametrize("flatten", [False, True])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_distributed_checkpoints_save_and_load_it(name, flatten):
    options = torch.distributed.checkpoint.state_dict.StateDictOptions(flatten_optimizer_state_dict=flatten)
    model, optimizer = both(name, centered=True)
    step(model, optimizer, 2)
    state = get_optimizer_state_dict(model, optimizer, options=options)
    parted, resumed = both(name, centered=True)
    parted.load_state_dict(model.state_dict())
    set_optimizer_state_dict(parted, resumed, copy.deepcopy(state), options=options)
    step(model, optimizer, 2)
    step(parted, resumed, 2)
    assert equal(values(model), values(parted))


def test_gradients_are_clipped_before_the_step():
    model, optimizer = both("sgd", momentum=0.0)
    before = values(model)
    model(P).square().sum().backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1e-12)
    optimizer.step()
    synapses = optimizer.param_groups[0]["params"][0]
    number = [parameter is synapses for parameter in model.parameters()].index(True)
    assert (synapses - before[number]).norm() <= 1e-12 * optimizer.param_groups[0]["scale"]


def test_a_closure_is_called_once_with_gradients_enabled():
    model, optimizer = both()
    calls = []

    def closure():
        calls.append(torch.is_grad_enabled())
        optimizer.zero_grad()
        loss = model(P).square().sum()
        loss.backward()
        return loss

    with torch.no_grad():
        assert optimizer.step(closure=closure) > 0
    assert calls == [True]


def test_parameters_that_come_later_move_as_the_readout():
    later = nn.Parameter(torch.ones(3))
    _, optimizer = both()
    optimizer.add_param_group({"params": [later], "lr": 0.5})
    later.sum().backward()
    optimizer.step()
    torch.testing.assert_close(later.detach(), torch.full((3,), 0.5))  # Adam's first step


@pytest.mark.parametrize(("group", "error", "message"), [
    ({"rule": "mewon"}, UnknownNameError, "did you mean 'muon'"),
    ({"lr": -0.1}, InputError, "lr=-0.1"),
    ({"scale": float("nan")}, InputError, "scale=nan"),
    ({"betas": (0.9, 1.0)}, InputError, r"betas=\(0.9, 1.0\)"),
    ({"block": 0}, InputError, "block=0: at least one unit"),
    ({"rule": "muon"}, InputError, "two or more axes"),
])  # fmt: skip
def test_a_group_that_makes_no_sense_is_not_added(group, error, message):
    model, optimizer = both()
    number = len(optimizer.param_groups)
    with pytest.raises(error, match=message):
        optimizer.add_param_group({"params": [nn.Parameter(torch.ones(3))], **group})
    assert len(optimizer.param_groups) == number
    step(model, optimizer)


def test_it_continues_from_torchs_adam():
    layer = nn.Linear(8, 2)
    twin = copy.deepcopy(layer)
    theirs, ours = torch.optim.Adam(layer.parameters(), 0.01), ConductanceOptimizer(twin.parameters(), 0.3)
    step(layer, theirs, 2)
    twin.load_state_dict(layer.state_dict())
    ours.load_state_dict(copy.deepcopy(theirs.state_dict()))
    step(layer, theirs, 2)
    step(twin, ours, 2)
    for one, other in zip(values(layer), values(twin), strict=True):
        torch.testing.assert_close(one, other)


def test_a_state_of_version_0_1_is_one_clear_line():
    _, optimizer = both()
    with pytest.raises(InputError, match=r"saved by conductance 0\.1"):
        optimizer.load_state_dict({"parts": []})


@pytest.mark.parametrize("rule", ["adam", "muon", "sgd"])
def test_a_state_of_other_shapes_is_refused_and_nothing_is_loaded(rule):
    def trained(units):
        parameter = nn.Parameter(torch.rand(units, 6))
        optimizer = ConductanceOptimizer([parameter], rule=rule)
        parameter.grad = torch.rand(units, 6)
        optimizer.step()
        return optimizer

    optimizer = trained(8)
    before = copy.deepcopy(optimizer.state_dict())
    with pytest.raises(InputError, match=r"of the shape \(3, 6\) for a parameter of the shape \(8, 6\)"):
        optimizer.load_state_dict(trained(3).state_dict())
    torch.testing.assert_close(optimizer.state_dict()["state"], before["state"], rtol=0, atol=0)


def test_a_state_of_another_network_changes_nothing():
    model, optimizer = both()
    other = nn.Sequential(CWALinear(8, 6), nn.Linear(6, 2))
    with pytest.raises(ValueError, match="different number of parameter groups"):
        optimizer.load_state_dict(create_optimizer(other, lr=9.0).state_dict())
    assert optimizer.param_groups[0]["lr"] < 9
    step(model, optimizer)


def test_a_loaded_state_lies_in_memory_as_its_parameters():
    model = nn.Sequential(CWAConv2d(4, 6, 3), nn.Flatten(), nn.Linear(6 * 36, 2))
    other = copy.deepcopy(model).to(memory_format=torch.channels_last)
    optimizers = [create_optimizer(one, "adam") for one in (model, other)]
    for one, optimizer in zip((model, other), optimizers, strict=True):
        one(torch.rand(3, 4, 8, 8)).sum().backward()
        optimizer.step()
    optimizers[0].load_state_dict(optimizers[1].state_dict())
    for parameter, state in optimizers[0].state.items():
        assert state["exp_avg"].stride() == parameter.stride()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_compiled_step_is_the_same_step():
    torch._dynamo.reset()
    start = torch.rand(4, 6, generator=torch.Generator().manual_seed(1))
    moved = []
    for wrap in (lambda step: step, partial(torch.compile, backend="eager")):
        parameter = nn.Parameter(start.clone())
        optimizer = ConductanceOptimizer([parameter], 0.1, rule="muon", kinds=(3, 3))
        step_ = wrap(optimizer.step)
        for _ in range(2):
            parameter.grad = parameter.detach().sin()
            step_()
        moved.append(parameter.detach())
    torch.testing.assert_close(*moved)
