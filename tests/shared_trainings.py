"""Trainings for two processes, and the same for one."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from conductance.training import Trainer, TrainingConfig

GENERATOR = torch.Generator().manual_seed(0)
INPUTS = torch.rand(30, 4, generator=GENERATOR)
CLASSES = torch.randint(0, 3, (30,), generator=GENERATOR)
BATCH = 5
STOP = 2


class StopsOnOneProcess:
    """Stops a training on its second process alone, where there are two."""

    def on_step(self, trainer):
        if trainer.process_index == 1 and trainer.step == STOP:
            trainer.stop()


def trainer_of(name, processes=1):
    """One of `NAMES`. So many processes together have batches of the same size as one alone."""
    torch.manual_seed(0)
    data = (INPUTS, CLASSES)
    step = 0.3
    if name == "loader":
        data, step = DataLoader(TensorDataset(INPUTS[:21], CLASSES[:21]), 3), 0.0
    config = TrainingConfig(epochs=2, batch_size=BATCH * 2 // processes, accumulate=2)
    return Trainer(
        nn.Linear(4, 3),
        data,
        config,
        test=(INPUTS[:7], CLASSES[:7]),
        optimizer=lambda network: torch.optim.SGD(network.parameters(), step),
        callbacks=[StopsOnOneProcess()] if name == "stopped" else [],
        device="cpu",
        progress=False,
    )


NAMES = ("arrays", "loader", "stopped")
