"""Networks that are dead at the start: layers that nothing reaches."""

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
    """The layers that receive nothing but zeros when a run starts, by their names in the network.

    No gradient passes such a layer, so that whatever lies before it never learns. The network is drawn as training
    draws it, and sees the first training images, in training mode.
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
