"""A small network, its examples and a trainer for them."""

import torch
from torch import nn
from torch.utils.data import Dataset as TorchDataset

from conductance.runs import OptimizerConfig
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


class Examples(TorchDataset):
    """The examples one by one."""

    def __len__(self):
        return len(INPUTS)

    def __getitem__(self, index):
        return INPUTS[index], CLASSES[index]
