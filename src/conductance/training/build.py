"""Builds the parts of a training from its config: augmentation, mixup, optimizer."""

from functools import partial
from typing import Any

import torch
from torch import nn

from conductance import optim
from conductance.data import Augmentation, Mixing, deform, mix, shift_and_flip
from conductance.errors import InputError
from conductance.runs.config import OptimizerConfig, RunConfig
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
    """The random changes of training images; None for none."""
    choices = config.data
    if choices.augmentation == "none":
        return None
    amounts: dict[str, Any] = {"max_shift": choices.max_shift, "flip": choices.augmentation.endswith("_flip")}
    if choices.augmentation.startswith("deform"):
        return partial(deform, max_turn=choices.max_turn, max_stretch=choices.max_stretch, **amounts)
    return partial(shift_and_flip, **amounts)


def build_mixing(config: RunConfig, num_classes: int) -> Mixing | None:
    """Mixup of the images of a batch; None for none."""
    if config.data.max_mix == 0:
        return None
    return partial(mix, num_classes=num_classes, max_share=config.data.max_mix)


def as_optimizer(given: Any, network: nn.Module, choices: OptimizerConfig) -> torch.optim.Optimizer:
    """The optimizer to train with: the given one, one made by a given function, or the one that the config describes.

    Raises:
        InputError: the result is not a torch optimizer of the network's parameters, or an unsupported one.
    """
    optimizer = given
    if given is None:
        optimizer = build_optimizer(choices, network)
    elif not isinstance(given, torch.optim.Optimizer) and callable(given):
        optimizer = given(network)
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise InputError(
            f"the optimizer is a {type(optimizer).__name__}; give a torch optimizer, or a function that makes one of "
            "the network"
        )
    if isinstance(optimizer, torch.optim.LBFGS):
        raise InputError(
            "LBFGS evaluates the loss several times in each step, which the trainer does not support; choose another "
            "optimizer"
        )
    own = {id(parameter) for parameter in network.parameters()}
    if not any(id(parameter) in own for group in optimizer.param_groups for parameter in group["params"]):
        raise InputError("the optimizer has none of the network's parameters; make it of network.parameters()")
    return optimizer


def build_optimizer(choices: OptimizerConfig, network: nn.Module) -> torch.optim.Optimizer:
    """The optimizer that a config describes."""
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
