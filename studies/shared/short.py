"""Short trainings on some of a data set's training images, judged on others: for screens of many variants."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.optim import Optimizer

from conductance.allocator import keep_freed_memory
from conductance.data import DeviceLoader, Images, load_dataset, split_validation
from conductance.runs import RunConfig
from conductance.training import Trainer, build
from conductance.training.config import TrainingConfig

IMAGES, HELD_OUT = 20_000, 5_000
"""The first training images, and how many of them are judged on; a quarter of all where a data set has fewer."""


Change = Callable[[nn.Module], object]


def train_shortly(
    config: RunConfig, change: Change | None = None, start: Change | None = None, number: int = IMAGES
) -> tuple[dict[str, float], np.ndarray]:
    """Train a config's network on the first training images, on one thread of the CPU. No test image is seen.

    Args:
        config: the run; its own validation images are left aside.
        change: made to the network before it is initialized.
        start: the initialization, instead of the config's.
        number: how many of the training images, those held out among them.

    Returns:
        Accuracies (%) of the last epoch, ``validation`` and ``training``, and whether each image that was held out is
        answered right.
    """
    trainer, _, held_out = short_trainer(config, change, start, number=number)
    last = trainer.fit()[-1]
    correct = (trainer.predict(held_out).argmax(1) == held_out.labels).numpy()
    accuracies = {"validation": last["validation_accuracy"], "training": last["train_accuracy"]}
    return {name: round(value, 2) for name, value in accuracies.items()}, correct


def short_trainer(
    config: RunConfig,
    change: Change | None = None,
    start: Change | None = None,
    optimizer: Callable[[nn.Module], Optimizer] | None = None,
    callbacks: Iterable[Any] = (),
    number: int = IMAGES,
) -> tuple[Trainer, Images, Images]:
    """The trainer of such a run with its initialized network, the images to train on and those held out.

    Args:
        config: as for `train_shortly`.
        change: likewise.
        start: likewise.
        optimizer: makes another one than the config's.
        callbacks: the trainer's.
        number: as for `train_shortly`.
    """
    dataset = load_dataset(config.data.dataset)
    number = min(number, len(dataset.train))
    held = min(HELD_OUT, number // 4)
    images, held_out = split_validation(dataset.train.subset(torch.arange(number)), held, seed=0)
    assert held_out is not None
    torch.manual_seed(config.seed)
    preprocessing = build.build_preprocessing(config, images)
    network = build.build_network(config, dataset)
    if change is not None:
        change(network)
    if start is None:
        build.initialize(network, config.conductance, preprocessing(images.pixels[: build.BALANCE_IMAGES]))
    else:
        start(network)
    loader = DeviceLoader(
        images,
        config.data.batch_size,
        preprocessing=preprocessing,
        augmentation=build.build_augmentation(config),
        shuffle=True,
        seed=config.seed,
    )
    keep_freed_memory()
    trainer = Trainer(
        network,
        loader,
        TrainingConfig.of(config),
        validation=held_out,
        optimizer=optimizer,
        callbacks=callbacks,
        device="cpu",
        progress=False,
    )
    return trainer, images, held_out
