"""What conductance layers read of the data lies in [0, 1], or training is refused."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import parametrizations
from torch.utils.data import DataLoader, TensorDataset

from conductance.errors import InputError
from conductance.nn import AbsNormLinear, CWAConv2d, CWALinear
from conductance.training import NonFiniteLossError, Trainer, TrainingConfig
from conductance.training.first_look import check_open_probabilities

IMAGES = torch.rand(12, 2, 4, 4, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(12) % 3


class Concatenated(nn.Module):
    """Reads two inputs side by side."""

    def __init__(self):
        super().__init__()
        self.layer = CWALinear(32 + 32, 3)

    def forward(self, first, second):
        return self.layer(torch.cat([first.flatten(1), 1 - second.flatten(1)], dim=1))


class Branches(nn.Module):
    """Reads the input, but not first."""

    def __init__(self):
        super().__init__()
        self.affine = nn.Conv2d(2, 4, 3, padding=1)
        self.layer = CWAConv2d(2, 4, 3, padding=1, doubled_input=True)

    def forward(self, x):
        return (self.affine(x) + self.layer(x)).flatten(1)


READERS = {
    "as it is": lambda: CWAConv2d(2, 4, 3),
    "flattened": lambda: nn.Sequential(nn.Flatten(), CWALinear(32, 3)),
    "pooled and padded": lambda: nn.Sequential(nn.MaxPool2d(2), nn.ZeroPad2d(1), CWAConv2d(2, 4, 3)),
    "dropped and shuffled": lambda: nn.Sequential(nn.Dropout(0.5), nn.ChannelShuffle(2), CWAConv2d(2, 4, 3)),
    "signed": lambda: nn.Sequential(nn.Flatten(), AbsNormLinear(32, 3)),
    "second": Branches,
}

OTHERS = {
    "affine": lambda: nn.Sequential(nn.Flatten(), nn.Linear(32, 3)),
    "behind an affine layer": lambda: nn.Sequential(
        nn.Flatten(), nn.Linear(32, 8), nn.BatchNorm1d(8), nn.ReLU(), CWALinear(8, 3, doubled_input=True)
    ),
    "behind a parametrized layer": lambda: nn.Sequential(
        nn.Flatten(), parametrizations.weight_norm(nn.Linear(32, 8)), nn.ReLU(), CWALinear(8, 3, doubled_input=True)
    ),
    "made probabilities": lambda: nn.Sequential(nn.Sigmoid(), CWAConv2d(2, 4, 3)),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("bad", [-0.1, 1.1, float("nan"), float("inf")])
def test_values_outside_are_refused_wherever_the_input_is_read(reader, bad):
    network = READERS[reader]()
    check_open_probabilities(network, IMAGES)
    spoilt = IMAGES.clone()
    spoilt[3, 1] = bad
    with pytest.raises(InputError, match=r"the layer|layer \w+ was given .*, but open probabilities lie in \[0, 1\]; "):
        check_open_probabilities(network, spoilt)


@pytest.mark.parametrize("other", OTHERS)
def test_networks_whose_conductances_read_something_else_take_any_data(other):
    check_open_probabilities(OTHERS[other](), 5 * torch.randn(12, 2, 4, 4))


def test_every_input_is_followed():
    network = Concatenated()
    check_open_probabilities(network, (IMAGES, IMAGES))
    check_open_probabilities(network, {"second": IMAGES, "first": IMAGES})
    for inputs in ((IMAGES, -IMAGES), (2 * IMAGES, IMAGES), {"first": IMAGES, "second": IMAGES - 1}):
        with pytest.raises(InputError, match="layer layer was given values"):
            check_open_probabilities(network, inputs)


@given(low=st.floats(-3, 3, width=32), high=st.floats(-3, 3, width=32))
def test_the_bounds_are_those_of_probabilities(low, high):
    inputs = torch.full((2, 4), low)
    inputs[1, 2] = high
    network = CWALinear(4, 3)
    if min(low, high) >= 0 and max(low, high) <= 1.001:
        check_open_probabilities(network, inputs)
    else:
        with pytest.raises(InputError, match="the layer was given"):
            check_open_probabilities(network, inputs)


def test_the_network_is_left_as_it_was():
    network = nn.Sequential(nn.BatchNorm2d(2, affine=False, momentum=1.0), nn.Sigmoid(), CWAConv2d(2, 4, 3))
    network[1].eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    torch.manual_seed(3)
    check_open_probabilities(network, IMAGES)
    drawn = torch.rand(1)
    torch.manual_seed(3)
    assert torch.equal(drawn, torch.rand(1))
    torch.testing.assert_close(dict(network.state_dict()), before, rtol=0, atol=0)
    assert [module.training for module in network] == [True, False, True]
    assert not network[2]._forward_pre_hooks


def training(inputs, data=None, epochs=1):
    network = nn.Sequential(nn.Flatten(), CWALinear(32, 8), nn.Linear(8, 3))
    config = TrainingConfig(epochs=epochs, batch_size=4)
    return Trainer(network, data or (inputs, LABELS), config, device="cpu", progress=False)


@pytest.mark.parametrize("loaded", [False, True])
def test_training_refuses_them_before_any_step(loaded):
    spoilt = IMAGES * 2 - 1
    data = DataLoader(TensorDataset(spoilt, LABELS), 4) if loaded else None
    trainer = training(spoilt, data)
    before = {name: tensor.clone() for name, tensor in trainer.network.state_dict().items()}
    with pytest.raises(InputError, match=r"layer 1 was given values from -.*, or scale data to \[0, 1\]"):
        trainer.fit()
    torch.testing.assert_close(dict(trainer.network.state_dict()), before, rtol=0, atol=0)


def test_a_later_epoch_is_looked_at_too():
    class Drifting(TensorDataset):
        scale = 1.0

        def __getitem__(self, index):
            image, label = super().__getitem__(index)
            return image * self.scale, label

    data = Drifting(IMAGES, LABELS)
    trainer = training(IMAGES, data, epochs=3)
    trainer.callbacks.callbacks.append(lambda _: setattr(data, "scale", 3.0))
    with pytest.raises(InputError, match="layer 1 was given values"):
        trainer.fit()
    assert len(trainer.history) == 1


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("part", ["inputs", "targets"])
def test_data_that_make_the_loss_no_number_are_named(bad, part):
    inputs, targets = torch.rand(50, 4), torch.rand(50, 1)
    (inputs if part == "inputs" else targets)[17] = bad
    config = TrainingConfig(epochs=1, batch_size=10)
    loss = torch.nn.functional.mse_loss
    trainer = Trainer(nn.Linear(4, 1), (inputs, targets), config, loss=loss, device="cpu", progress=False)
    complaint = rf"the data of this batch hold NaN or infinite values \(row 17 of the {part} is the first\)"
    with pytest.raises(NonFiniteLossError, match=complaint):
        trainer.fit()


def test_values_that_the_network_can_do_with_are_left_alone():
    inputs = torch.rand(20, 4)
    inputs[3, 1] = float("nan")

    class Filled(nn.Linear):
        def forward(self, x):
            return super().forward(x.nan_to_num())

    trainer = Trainer(
        Filled(4, 3), (inputs, torch.arange(20) % 3), TrainingConfig(epochs=1), device="cpu", progress=False
    )
    assert len(trainer.fit()) == 1


def test_bad_test_data_are_named_too():
    inputs = torch.rand(30, 4)
    spoilt = inputs.clone()
    spoilt[25, 1] = float("nan")
    labels = torch.arange(30) % 3
    config = TrainingConfig(epochs=1, batch_size=5)
    options = {"validation": (inputs, labels), "test": (spoilt, labels), "device": "cpu", "progress": False}
    trainer = Trainer(nn.Linear(4, 3), (inputs, labels), config, **options)
    with pytest.raises(NonFiniteLossError, match=r"the test data hold NaN or infinite values \(in batch 2 of 2\)"):
        trainer.fit()
