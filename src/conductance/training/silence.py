"""Finds networks that cannot learn because a layer receives only zeros."""

from functools import partial
from typing import Any

import torch
from torch import nn

from conductance.data import Dataset
from conductance.runs.config import RunConfig
from conductance.training import build

IMAGES = 100


@torch.no_grad()
def silent_layers(config: RunConfig, dataset: Dataset) -> list[str]:
    """Names of the layers that receive only zeros when a run starts.

    No gradient passes through such a layer, so no layer before it learns. The network is initialized as in training and
    runs on the first training images, in training mode.
    """
    with torch.random.fork_rng(devices=[]):
        network, preprocessing = build.start(config, dataset)
        silent: list[str] = []

        def look(name: str, _: nn.Module, inputs: tuple[Any, ...]) -> None:
            if not bool(inputs[0].any()):
                silent.append(name)

        for name, module in network.named_modules():
            if any(parameter.ndim > 1 for parameter in module.parameters(recurse=False)):
                module.register_forward_pre_hook(partial(look, name))
        network.train()(preprocessing(dataset.train.pixels[:IMAGES]))
    return silent
