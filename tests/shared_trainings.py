"""Trainings for two processes, and the same for one."""

import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from conductance.nn import CWALinear
from conductance.optim import OPTIMIZERS, create_optimizer
from conductance.runs import OptimizerConfig
from conductance.training import Trainer, TrainingConfig
from tiny_runs import tiny

GENERATOR = torch.Generator().manual_seed(0)
INPUTS = torch.rand(31, 4, generator=GENERATOR, dtype=torch.float64)
CLASSES = torch.randint(0, 3, (31,), generator=GENERATOR)
BATCH = 5
STOP = 2


class StopsOnOneProcess:
    """Stops a training on its second process alone, where there are two."""

    def on_step(self, trainer):
        if trainer.process_index == 1 and trainer.step == STOP:
            trainer.stop()


class OneByOne(IterableDataset):
    """The first 21 examples, which know no indices."""

    def __len__(self):
        return 21

    def __iter__(self):
        return iter(zip(INPUTS[:21], CLASSES[:21], strict=True))


FEW = TensorDataset(INPUTS[:21], CLASSES[:21])
LOADERS = {
    "loader": lambda: DataLoader(FEW, 3, shuffle=True),
    "loader-iterable": lambda: DataLoader(OneByOne(), 3),
    "loader-drop-last": lambda: DataLoader(TensorDataset(INPUTS[:22], CLASSES[:22]), 3, drop_last=True),
    "loader-examples": lambda: DataLoader(FEW, batch_size=None, collate_fn=lambda one: (one[0][None], one[1][None])),
}
"""Seven batches, which do not divide by two processes."""

RUNS = {f"cwa-{rule}": ("cwa", rule) for rule in OPTIMIZERS} | {"affine_bn": ("affine_bn", "muon")}
"""Of the digits, by name: layer family and rule."""

TESTED = {"dataset": 3, "stopped": 21}
"""Those that are tested on a loader, with its batch size: one batch is too few to be shared."""

UNSEEDED = [f"unseeded-{rule}" for rule in (*OPTIMIZERS, "given")]
"""Networks that start differently in each process."""

NAMES = ("arrays", "dataset", "dropout", "stopped", *LOADERS, *UNSEEDED)


def run_of(name, processes=1):
    """The config of one of `RUNS`. Its last batch has 17 images: they divide by two into nine and eight."""
    family, rule = RUNS[name]
    return tiny(family, data__batch_size=64 // processes, optimizer__name=rule)


def trainer_of(name, rank=0, processes=1):
    """One of `NAMES`. So many processes together have batches of the same size as one alone."""
    torch.manual_seed(100 + rank if name in UNSEEDED else 0)
    hidden = CWALinear(4, 6, learn_resting=True)
    network = nn.Sequential(hidden, *([nn.Dropout(0.5)] if name == "dropout" else []), nn.Linear(6, 3)).double()
    data, optimizer = (INPUTS, CLASSES), None
    rule = name.removeprefix("unseeded-")
    if name in LOADERS:
        data, optimizer = LOADERS[name](), lambda network: torch.optim.SGD(network.parameters(), 0.0)
    elif name == "dataset":
        data = TensorDataset(*data)
    elif rule == "given":
        optimizer = create_optimizer(network)
    choices = OptimizerConfig(
        rule if rule in OPTIMIZERS else "muon",
        centered=True,
        homeostasis=0.1 if name in UNSEEDED else 0.0,
        weight_average=0.5 if name in UNSEEDED else 0.0,
    )
    return Trainer(
        network,
        data,
        TrainingConfig(epochs=2, batch_size=BATCH * 2 // processes, accumulate=2, optimizer=choices),
        validation=(INPUTS[:1], CLASSES[:1]),  # too few for two processes
        test=DataLoader(FEW, TESTED[name]) if name in TESTED else (INPUTS[:7], CLASSES[:7]),
        optimizer=optimizer,
        callbacks=[StopsOnOneProcess()] if name == "stopped" else [],
        device="cpu",
        progress=False,
    )
