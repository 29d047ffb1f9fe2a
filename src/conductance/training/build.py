"""From a config to what trains its network: images drawn anew, mixtures, an optimizer."""

from functools import partial
from typing import Any

import torch
from torch import nn

from conductance import optim
from conductance.data import Augmentation, Mixing, deform, mix, shift_and_flip
from conductance.runs.config import RunConfig
from conductance.runs.network import (
    BALANCE_IMAGES,
    build_network,
    build_preprocessing,
    initialize,
    kind_of_preprocessing,
    layer_options,
    start,
)

__all__ = [
    "BALANCE_IMAGES",
    "build_augmentation",
    "build_mixing",
    "build_network",
    "build_optimizer",
    "build_preprocessing",
    "initialize",
    "kind_of_preprocessing",
    "layer_options",
    "start",
]


def build_augmentation(config: RunConfig) -> Augmentation | None:
    """What is drawn anew for every training image."""
    choices = config.data
    if choices.augmentation == "none":
        return None
    amounts: dict[str, Any] = {"max_shift": choices.max_shift, "flip": choices.augmentation.endswith("_flip")}
    if choices.augmentation.startswith("deform"):
        return partial(deform, max_turn=choices.max_turn, max_stretch=choices.max_stretch, **amounts)
    return partial(shift_and_flip, **amounts)


def build_mixing(config: RunConfig, num_classes: int) -> Mixing | None:
    """What mixes the training images of a batch with each other."""
    if config.data.max_mix == 0:
        return None
    return partial(mix, num_classes=num_classes, max_share=config.data.max_mix)


def build_optimizer(config: RunConfig, network: nn.Module) -> torch.optim.Optimizer:
    """The optimizer of a config, under which Dale's law holds after every step."""
    choices = config.optimizer
    optimizer = optim.create_optimizer(
        network,
        choices.name,
        choices.learning_rate,
        readout_lr=choices.readout_learning_rate,
        leak_lr=choices.leak_learning_rate,
        momentum=choices.momentum,
        block=choices.block,
        betas=choices.betas,
        centered=choices.centered,
    )
    if choices.homeostasis > 0:
        optim.Homeostasis(optimizer, network, choices.homeostasis)
    return optimizer
