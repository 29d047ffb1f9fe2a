"""Data of all kinds, and those that a trainer cannot use."""

import numpy as np
import pytest
import torch
from small_trainings import ADAM, CLASSES, INPUTS, Examples, assert_same, network, trainer_of, weights
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from conductance.data import DeviceLoader, Images, Preprocessing, load_dataset
from conductance.errors import InputError
from conductance.nn import CWALinear
from conductance.training import TrainingConfig

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
