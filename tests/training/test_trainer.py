"""The trainer, on networks and data of any kind."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, IterableDataset, TensorDataset
from torch.utils.data import Dataset as TorchDataset

import conductance
from conductance.data import DeviceLoader, Images, Preprocessing, load_dataset
from conductance.errors import InputError, RunError, UnknownNameError
from conductance.nn import CWALinear
from conductance.runs import OptimizerConfig, ProtocolConfig, Run, RunFolder, load_run
from conductance.training import Trainer, TrainingConfig

GENERATOR = torch.Generator().manual_seed(0)
INPUTS = torch.rand(60, 6, generator=GENERATOR)
CLASSES = (INPUTS[:, 0] > INPUTS[:, 1]).long()
VALUES = INPUTS @ torch.randn(6, 2, generator=GENERATOR)
ADAM = OptimizerConfig("adam", 1.0, readout_learning_rate=0.05)


def network(outputs=2):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, outputs))


def trainer_of(model, data, config=None, **options):
    config = config or TrainingConfig(epochs=20, batch_size=16, optimizer=ADAM)
    return Trainer(model, data, config, device="cpu", progress=False, **options)


def weights(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def assert_same(first, second):
    torch.testing.assert_close(first, second, rtol=0, atol=0)


# Data ------------------------------------------------------------------------------------------------------------


class Examples(TorchDataset):
    """The examples one by one."""

    def __len__(self):
        return len(INPUTS)

    def __getitem__(self, index):
        return INPUTS[index], CLASSES[index]


KINDS = {
    "tensors": (INPUTS, CLASSES),
    "numpy": (INPUTS.double().numpy(), CLASSES.numpy()),
    "small integers": (INPUTS.numpy(), CLASSES.numpy().astype(np.int16)),
    "lists": (INPUTS.tolist(), CLASSES.tolist()),
    "tensor dataset": TensorDataset(INPUTS, CLASSES),
    "dataset": Examples(),
    "sequence of batches": [INPUTS.numpy()[::1], CLASSES.numpy()],
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_examples_give_the_same_network_in_whatever_form_they_come(kind):
    trained = []
    for data in ((INPUTS, CLASSES), KINDS[kind]):
        trainer = trainer_of(network(), data, test=data)
        history = trainer.fit()
        trained.append((weights(trainer.network), [{**epoch, "seconds": 0} for epoch in history]))
    assert_same(trained[0][0], trained[1][0])
    assert trained[0][1] == trained[1][1]
    assert trained[0][1][-1]["test_accuracy"] > 90


@pytest.mark.parametrize("data", [
    DataLoader(TensorDataset(INPUTS, CLASSES), 16, shuffle=True),
    DataLoader(Examples(), 7, shuffle=True, generator=torch.Generator().manual_seed(3)),
    DataLoader(TensorDataset(INPUTS, CLASSES), batch_sampler=[list(range(7)), list(range(7, 30)), list(range(30, 60))]),
    DataLoader(Examples(), 16, collate_fn=lambda pairs: [np.stack(part) for part in zip(*pairs, strict=True)]),
], ids=["shuffled", "own generator", "uneven", "numpy batches"])  # fmt: skip
def test_a_loader_is_used_as_it_is(data):
    trainer = trainer_of(network(), data, test=(INPUTS, CLASSES))
    history = trainer.fit()
    assert history[-1]["train_loss"] < 0.9 * history[0]["train_loss"]
    assert trainer.step == 20 * len(data)


def test_several_workers_load_the_same_examples():
    config = TrainingConfig(epochs=1, batch_size=16, optimizer=ADAM)
    trained = []
    for workers in (0, 1):
        trainer = trainer_of(network(), Examples(), TrainingConfig(**{**vars(config), "workers": workers}))
        trainer.fit()
        trained.append(weights(trainer.network))
    assert_same(*trained)


@pytest.mark.parametrize("channels", [1, 3])
def test_images_of_the_package(channels):
    pixels = torch.randint(0, 256, (40, channels, 4, 4), dtype=torch.uint8)
    images = Images(pixels, (pixels.float().mean((1, 2, 3)) > 127).long())
    model = nn.Sequential(nn.Flatten(), nn.Linear(16 * channels, 2))
    trainer = trainer_of(model, images, test=images)
    trainer.fit()
    prediction = trainer.predict(images)
    torch.testing.assert_close(prediction, trainer.predict(pixels.float() / 255))
    assert trainer.evaluate(images)["accuracy"] == 100 * float((prediction.argmax(1) == images.labels).float().mean())


def test_a_whole_data_set_brings_its_test_images():
    digits = load_dataset("digits")
    model = nn.Sequential(nn.Flatten(), CWALinear(64, 40), nn.Linear(40, 10))
    trainer = trainer_of(model, digits, TrainingConfig(epochs=3, optimizer=ADAM))
    assert trainer.fit()[-1]["test_accuracy"] > 60
    assert trainer.evaluate(digits) == trainer.evaluate(digits.test)
    assert_same(trainer.predict(digits), trainer.predict(digits.test))


def test_a_device_loader_brings_its_own_augmentation_and_preprocessing():
    digits = load_dataset("digits")
    seen = []

    def watched(images, *, generator):
        assert generator is not None
        seen.append(len(images))
        return images

    loader = DeviceLoader(
        digits.train, 300, preprocessing=Preprocessing("scaled", 1), augmentation=watched, shuffle=True
    )
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    trainer = trainer_of(model, loader, TrainingConfig(epochs=1), test=digits.test)
    trainer.fit()
    assert sorted(seen[-5:]) == [97, 300, 300, 300, 300]
    assert trainer.data.preprocessing.kind == "scaled"


class Sum(nn.Module):
    """A network with two inputs."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(4, 2), nn.Linear(2, 2)

    def forward(self, first, second):
        return self.first(first) + self.second(second)


TWO = (INPUTS[:, :4], INPUTS[:, 4:])


@pytest.mark.parametrize("data", [
    (TWO, CLASSES),
    ([part.numpy() for part in TWO], CLASSES.numpy()),
    ({"second": TWO[1], "first": TWO[0]}, CLASSES),
    DataLoader(TensorDataset(*TWO, CLASSES), 16),
    TensorDataset(*TWO, CLASSES),
], ids=["tuple", "arrays", "dict", "loader", "dataset"])  # fmt: skip
def test_networks_with_several_inputs(data):
    torch.manual_seed(0)
    trainer = trainer_of(Sum(), data, test=data)
    assert trainer.fit()[-1]["test_accuracy"] > 90
    assert trainer.predict(TWO).shape == trainer.predict({"first": TWO[0], "second": TWO[1]}).shape == (60, 2)


class Stream(IterableDataset):
    def __iter__(self):
        return iter(Examples())


UNUSABLE = {
    "no data": (None, "a NoneType cannot be used as data; give"),
    "an array alone": (INPUTS, "a Tensor cannot be used as data"),
    "a dict": ({"x": INPUTS, "y": CLASSES}, "a dict cannot be used as data"),
    "three arrays": ((INPUTS, INPUTS, CLASSES), r"3 arrays .* \(\(first, second\), targets\)"),
    "fewer targets": ((INPUTS, CLASSES[:-1]), "there are 60 inputs and 59 targets"),
    "inputs that differ": (((INPUTS, INPUTS[:9]), CLASSES), "inputs of shapes .* different numbers of examples"),
    "nothing": ((INPUTS[:0], CLASSES[:0]), "there are no examples"),
    "words": ((INPUTS, np.array(["cat"] * 60)), "a ndarray of <U3 cannot be a network's data"),
    "a ragged list": ((INPUTS, [[1], [1, 2]]), "a list cannot be made an array"),
    "one number": ((INPUTS, torch.tensor(1)), "targets must have one entry for each example"),
    "a stream": (Stream(), "an IterableDataset has no length"),
    "a loader of a stream": (DataLoader(Stream(), 8), "this DataLoader has no length"),
}


@pytest.mark.parametrize("kind", UNUSABLE)
def test_data_that_cannot_be_used_are_answered_in_one_line(kind):
    data, complaint = UNUSABLE[kind]
    with pytest.raises(InputError, match=complaint) as raised:
        trainer_of(network(), data)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(("batch", "complaint"), [
    ({"pixels": INPUTS, "label": CLASSES}, r"a batch is a dict of pixels, label; .* \(inputs, targets\)"),
    ([INPUTS], r"a batch is a list, not \(inputs, targets\)"),
    (INPUTS, "a batch is a Tensor"),
])  # fmt: skip
def test_batches_that_cannot_be_used(batch, complaint):
    loader = DataLoader(Examples(), 60, collate_fn=lambda _: batch)
    with pytest.raises(InputError, match=complaint):
        trainer_of(network(), loader).fit()


def loader_of(inputs, targets):
    parts = inputs if isinstance(inputs, tuple) else (inputs,)
    return DataLoader(TensorDataset(*parts, targets), 16)


MISMATCHED = {
    "too many inputs": (network(), (TWO, CLASSES), "has 2 part.* Sequential.forward does not take it"),
    "too few inputs": (Sum(), (INPUTS, CLASSES), "missing a required argument: 'second'"),
    "numbers as classes": (network(), (INPUTS, INPUTS[:, 0]), "which are not classes; for regression give a loss"),
    "a column of classes": (network(), (INPUTS, CLASSES[:, None]), r"classes are expected as \(16,\)"),
    "too many classes": (network(), (INPUTS, CLASSES + 1), "the classes go from 1 to 2, .* 2 outputs knows 0 to 1"),
    "a negative class": (network(), (INPUTS, CLASSES - 1), "the classes go from -1 to 0"),
    "one value": (nn.Sequential(network(1), nn.Flatten(0)), (INPUTS, CLASSES), "not \\(batch, classes\\)"),
    "no tensor": (nn.LSTM(6, 2), (INPUTS, CLASSES), "a tuple as output .*; give loss="),
}  # fmt: skip


@pytest.mark.parametrize("kind", MISMATCHED)
@pytest.mark.parametrize("form", [lambda data: data, lambda data: loader_of(*data)], ids=["arrays", "loader"])
def test_data_and_network_that_do_not_fit_are_answered_in_one_line(kind, form):
    model, data, complaint = MISMATCHED[kind]
    data = form(data)
    before = weights(model)
    with pytest.raises(InputError, match=complaint) as raised:
        trainer_of(model, data).fit()
    assert "\n" not in str(raised.value)
    assert_same(before, weights(model))


def test_an_error_of_the_network_says_what_it_was_given():
    with pytest.raises(RuntimeError) as raised:
        trainer_of(network(), (INPUTS[:, :5], CLASSES)).fit()
    assert raised.value.__notes__ == ["The network was given float32 (16, 5)."]


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


# Folders ---------------------------------------------------------------------------------------------------------


class Interrupting:
    """Stops a training the hard way, in the middle of an epoch."""

    def __init__(self, at):
        self.at = at

    def on_step(self, trainer):
        if trainer.step == self.at:
            raise KeyboardInterrupt


LOADER = DataLoader(Examples(), 16, shuffle=True, generator=torch.Generator())


@pytest.mark.parametrize("data", [(INPUTS, CLASSES), Examples(), LOADER], ids=["arrays", "dataset", "loader"])
@pytest.mark.parametrize("optimizer", [None, lambda model: torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)])
def test_a_resumed_training_is_the_uninterrupted_one(data, optimizer, tmp_path):
    def trainer(folder, callbacks=()):
        if isinstance(data, DataLoader):
            data.generator.manual_seed(0)
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 2))
        config = TrainingConfig(epochs=4, batch_size=16, accumulate=2, optimizer=ADAM)
        return trainer_of(model, data, config, optimizer=optimizer, folder=tmp_path / folder, callbacks=callbacks)

    whole = trainer("whole")
    whole.fit()
    broken = trainer("parts", [Interrupting(5)])
    with pytest.raises(KeyboardInterrupt):
        broken.fit()
    assert len(RunFolder(tmp_path / "parts").read_checkpoint()["metrics"]) == 2
    resumed = trainer("parts")
    resumed.fit(resume=True)
    assert_same(weights(whole.network), weights(resumed.network))
    assert [epoch["train_loss"] for epoch in whole.history] == [epoch["train_loss"] for epoch in resumed.history]
    assert whole.step == resumed.step == 8


def test_a_finished_training_is_loaded(tmp_path):
    first = trainer_of(network(), (INPUTS, CLASSES), test=(INPUTS, CLASSES), folder=tmp_path / "run")
    history = first.fit()
    files = {file.name for file in (tmp_path / "run").iterdir()}
    assert files == {"config.json", "metrics.jsonl", "model.safetensors", "predictions.npz", "summary.json"}
    again = trainer_of(network(), (INPUTS, CLASSES), test=(INPUTS, CLASSES), folder=tmp_path / "run")
    assert again.fit(resume=True) == history
    assert_same(weights(first.network), weights(again.network))


def test_a_regression_is_kept_too(tmp_path):
    history = trainer_of(network(), (INPUTS, VALUES), loss=F.mse_loss, folder=tmp_path / "run").fit()
    again = trainer_of(network(), (INPUTS, VALUES), loss=F.mse_loss, folder=tmp_path / "run")
    assert again.fit(resume=True) == history


def test_a_finished_training_can_be_reported(tmp_path):
    from conductance.report import summarize
    from conductance.runs import load_runs

    trainer = trainer_of(network(), (INPUTS, CLASSES), test=(INPUTS, CLASSES), folder=tmp_path / "run")
    trainer.fit()
    (row,) = summarize(load_runs([tmp_path]))
    assert row.architecture == "Sequential"


def test_the_optimizer_that_was_given_is_what_is_recorded(tmp_path):
    def trainer(optimizer):
        return trainer_of(network(), (INPUTS, CLASSES), optimizer=optimizer, folder=tmp_path / "run")

    trainer(lambda model: torch.optim.SGD(model.parameters(), 0.25, momentum=0.5)).fit()
    recorded = Run(tmp_path / "run").settings["optimizer"]
    assert (recorded["name"], recorded["lr"], recorded["momentum"]) == ("SGD", 0.25, 0.5)
    with pytest.raises(RunError, match=r"optimizer.lr is 0.25 there, 0.5 here"):
        trainer(lambda model: torch.optim.SGD(model.parameters(), 0.5, momentum=0.5)).fit(resume=True)


def test_a_network_of_ones_own_cannot_be_built_from_its_folder(tmp_path):
    trainer_of(network(), (INPUTS, CLASSES), folder=tmp_path / "run").fit()
    with pytest.raises(RunError, match="is of a network of your own, which no config describes; build the network"):
        load_run(tmp_path / "run")


def test_a_folder_of_another_training_is_refused(tmp_path):
    trainer_of(network(), (INPUTS, CLASSES), folder=tmp_path / "run").fit()
    with pytest.raises(RunError, match="already holds a run"):
        trainer_of(network(), (INPUTS, CLASSES), folder=tmp_path / "run").fit()
    other = trainer_of(network(3), (INPUTS, CLASSES), folder=tmp_path / "run")
    with pytest.raises(RunError, match=r"holds another run \(model.parameters is 74 there, 83 here\)"):
        other.fit(resume=True)
    with pytest.raises(InputError, match="resume needs the folder of a run"):
        trainer_of(network(), (INPUTS, CLASSES)).fit(resume=True)


def test_data_that_are_refused_leave_no_run(tmp_path):
    with pytest.raises(InputError):
        trainer_of(network(), (INPUTS, CLASSES + 1), folder=tmp_path / "run").fit()
    assert not (tmp_path / "run" / "config.json").exists()
    trainer_of(network(), (INPUTS, CLASSES), folder=tmp_path / "run").fit()


def test_fit_goes_on_where_it_was_stopped(tmp_path):
    stopping = Interrupting(5)
    trainer = trainer_of(network(), (INPUTS, CLASSES), callbacks=[stopping], folder=tmp_path / "run")
    with pytest.raises(KeyboardInterrupt):
        trainer.fit()
    assert len(trainer.fit()) == 20
    assert RunFolder(tmp_path / "run").finished


def test_it_is_part_of_the_package():
    assert conductance.Trainer is Trainer
    assert conductance.TrainingConfig is TrainingConfig


@pytest.mark.parametrize("missing", ["accelerate", "filelock", "rich", "safetensors"])
def test_a_missing_package_is_named_with_the_extra_that_brings_it(missing):
    program = f"""
import sys
sys.modules[{missing!r}] = None
import conductance
try:
    conductance.Trainer
except conductance.ConductanceError as error:
    print(error)
"""
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert said == f"{missing} is needed to train networks and is not installed: pip install 'conductance[train]'\n"
