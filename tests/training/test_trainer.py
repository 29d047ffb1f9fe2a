"""The trainer: losses, optimizers, what it leaves as it found it."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_trainings import ADAM, CLASSES, INPUTS, VALUES, Examples, assert_same, network, trainer_of, weights
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

import conductance
from conductance.errors import InputError, UnknownNameError
from conductance.nn import CWALinear
from conductance.runs import OptimizerConfig, ProtocolConfig
from conductance.training import Trainer, TrainingConfig

# Losses, optimizers, protocols -----------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", [F.mse_loss, nn.MSELoss(reduction="none"), lambda z, y: (z - y).square().mean(1)])
def test_a_regression(loss):
    trainer = trainer_of(network(), (INPUTS, VALUES), loss=loss, validation=(INPUTS, VALUES))
    history = trainer.fit()
    assert history[-1]["train_loss"] < 0.3 * history[0]["train_loss"]
    assert not any("accuracy" in name for name in history[-1])
    expected = float(F.mse_loss(trainer.predict(INPUTS), VALUES))
    assert trainer.evaluate((INPUTS, VALUES)) == {"loss": pytest.approx(expected, rel=1e-5)}
    assert history[-1]["validation_loss"] == pytest.approx(expected, rel=1e-5)


def test_a_loss_of_classes_still_has_an_accuracy():
    trainer = trainer_of(network(), (INPUTS, CLASSES), loss=nn.CrossEntropyLoss(weight=torch.tensor([1.0, 3.0])))
    assert trainer.fit()[-1]["train_accuracy"] > 80


def test_classes_for_each_pixel():
    torch.manual_seed(0)
    images = torch.rand(20, 1, 4, 4)
    trainer = trainer_of(nn.Conv2d(1, 2, 1), (images, (images[:, 0] > 0.5).long()))
    assert trainer.fit()[-1]["train_accuracy"] > 80


@pytest.mark.parametrize("given", [lambda model: torch.optim.RMSprop(model.parameters(), 0.01), "instance"])
def test_any_torch_optimizer(given):
    model = network()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.05) if given == "instance" else given
    trainer = trainer_of(model, (INPUTS, CLASSES), optimizer=optimizer)
    assert trainer.fit()[-1]["train_accuracy"] > 85
    assert given != "instance" or trainer.optimizer is optimizer


@pytest.mark.parametrize(("given", "complaint"), [
    ("adam", "optimizer='adam'; give an Optimizer"),
    (lambda _: None, "the optimizer is a NoneType"),
    (lambda _: torch.optim.SGD([nn.Parameter(torch.ones(1))], 0.1), "has none of the network's parameters"),
    (lambda model: torch.optim.LBFGS(model.parameters()), "LBFGS evaluates the loss several times"),
])  # fmt: skip
def test_an_optimizer_that_does_not_serve(given, complaint):
    with pytest.raises(InputError, match=complaint):
        trainer_of(network(), (INPUTS, CLASSES), optimizer=given)


def test_learning_rates_may_stay_as_they_are():
    config = TrainingConfig(epochs=3, protocol=ProtocolConfig("constant"))
    trainer = trainer_of(
        network(), (INPUTS, CLASSES), config, optimizer=lambda m: torch.optim.SGD(m.parameters(), 0.25)
    )
    assert [epoch["learning_rate"] for epoch in trainer.fit()] == [0.25] * 3
    assert trainer.optimizer.param_groups[0]["lr"] == 0.25


@pytest.mark.parametrize("network_of", [None, object(), lambda x: x])
def test_a_network_is_a_module(network_of):
    with pytest.raises(InputError, match=r"the network is a .*, which is no network"):
        trainer_of(network_of, (INPUTS, CLASSES))


@pytest.mark.parametrize(("choice", "complaint"), [
    ({"epochs": 0}, "epochs=0: must be at least 1"),
    ({"batch_size": 0}, "batch_size=0: must be at least 1"),
    ({"accumulate": 0}, "accumulate=0: must be at least 1"),
    ({"seed": -1}, "seed=-1: must lie in"),
    ({"workers": -1}, "workers=-1: must be at least 0"),
    ({"precision": "half"}, "unknown precision 'half'"),
    ({"optimizer": OptimizerConfig("adam", -1.0)}, "learning_rate=-1.0: must be positive"),
])  # fmt: skip
def test_a_config_that_means_nothing(choice, complaint):
    with pytest.raises((InputError, UnknownNameError), match=complaint):
        TrainingConfig(**choice)


# Conductances ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", [None, lambda model: torch.optim.Adam(model.parameters(), lr=0.05)])
def test_conductances_learn_and_stay_non_negative(optimizer):
    torch.manual_seed(0)
    model = nn.Sequential(CWALinear(6, 16, doubled_input=True), nn.Linear(16, 2))
    trainer = trainer_of(model, (INPUTS, CLASSES), optimizer=optimizer)
    assert trainer.fit()[-1]["train_accuracy"] > 85
    assert (model[0].conductance >= 0).all()


# Beside others ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["no", "bf16"])
def test_training_leaves_the_process_and_the_network_as_it_found_them(precision):
    model = network()
    config = TrainingConfig(epochs=1, precision=precision, optimizer=ADAM)
    torch.manual_seed(5), np.random.seed(5)  # noqa: NPY002
    trainer = trainer_of(model, (INPUTS, CLASSES), config)
    trainer.fit(), trainer.evaluate((INPUTS, CLASSES)), trainer.predict(INPUTS)
    drawn = torch.rand(3), np.random.rand(3)  # noqa: NPY002
    torch.manual_seed(5), np.random.seed(5)  # noqa: NPY002
    assert torch.equal(drawn[0], torch.rand(3))
    assert np.array_equal(drawn[1], np.random.rand(3))  # noqa: NPY002
    assert not torch.backends.cudnn.deterministic
    assert "forward" not in vars(model)
    assert model(INPUTS).dtype == torch.float32


def test_what_the_network_draws_is_decided_by_the_seed_of_the_training():
    def trained(seed):
        model = nn.Sequential(network(), nn.Dropout(0.5))
        trainer_of(model, (INPUTS, CLASSES), TrainingConfig(epochs=2, seed=seed, optimizer=ADAM)).fit()
        return weights(model)

    torch.manual_seed(1)
    first = trained(0)
    torch.manual_seed(2)
    assert_same(first, trained(0))
    other = trained(1)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_gradients_of_other_code_are_no_part_of_a_step():
    trained = []
    for used_before in (False, True):
        model = network()
        if used_before:
            model(INPUTS).sum().backward()
        sgd = torch.optim.SGD(model.parameters(), 1.0)
        trainer_of(model, (INPUTS, CLASSES), TrainingConfig(epochs=1), optimizer=sgd).fit()
        trained.append(weights(model))
    assert_same(*trained)


def test_prediction_and_evaluation_leave_the_mode_as_it_was():
    model = nn.Sequential(nn.Dropout(0.9), network())
    trainer = trainer_of(model, (INPUTS, CLASSES))
    model.train()
    assert_same(trainer.predict(INPUTS), trainer.predict(INPUTS))
    trainer.evaluate((INPUTS, CLASSES))
    assert all(module.training for module in model.modules())


@settings(max_examples=15)
@given(count=st.integers(1, 40), batch_size=st.integers(1, 12))
def test_predictions_are_in_the_order_of_the_inputs(count, batch_size):
    trainer = trainer_of(network(), (INPUTS, CLASSES), TrainingConfig(batch_size=batch_size))
    expected = trainer.network(INPUTS[:count]).detach()
    torch.testing.assert_close(trainer.predict(INPUTS[:count]), expected)
    torch.testing.assert_close(trainer.predict(INPUTS[:count].numpy()), expected)
    torch.testing.assert_close(trainer.predict(TensorDataset(INPUTS[:count], CLASSES[:count])), expected)
    torch.testing.assert_close(trainer.predict(DataLoader(Examples(), batch_size))[:count], expected)


def test_predictions_of_several_outputs_keep_their_structure():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(6, 3)

        def forward(self, x):
            return {"z": self.layer(x), "both": (x, self.layer(x).sum(1))}

    loss = lambda outputs, targets: F.cross_entropy(outputs["z"], targets)  # noqa: E731
    model = Two()
    trainer = trainer_of(model, (INPUTS, CLASSES), TrainingConfig(epochs=1, batch_size=4), loss=loss)
    trainer.fit()
    torch.testing.assert_close(trainer.predict(INPUTS), {**model(INPUTS)}, check_device=False)


def test_a_compiled_network():
    model = network()
    trainer = trainer_of(torch.compile(model, backend="eager"), (INPUTS, CLASSES), test=(INPUTS, CLASSES))
    plain = trainer_of(network(), (INPUTS, CLASSES), test=(INPUTS, CLASSES))
    assert trainer.fit()[-1]["test_loss"] == pytest.approx(plain.fit()[-1]["test_loss"], rel=1e-4)


def test_it_is_part_of_the_package():
    assert conductance.Trainer is Trainer
    assert conductance.TrainingConfig is TrainingConfig


def test_a_missing_package_is_named_with_the_extra_that_brings_it():
    names = ["accelerate", "filelock", "rich", "safetensors"]
    program = f"""
import os, sys
import torch
import conductance
for missing in {names}:
    if os.fork() == 0:
        sys.modules[missing] = None
        try:
            conductance.Trainer
        except conductance.ConductanceError as error:
            print(error, flush=True)
        os._exit(0)
    os.wait()
"""
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    needed = "is needed to train networks and is not installed: pip install 'conductance[train]'"
    assert said.splitlines() == [f"{missing} {needed}" for missing in names]
