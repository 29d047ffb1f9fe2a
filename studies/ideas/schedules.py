"""Schedules of what a training step sees: how large its images are, and how many."""

from collections.abc import Sequence
from functools import partial
from math import ceil

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from conductance.training import Trainer
from conductance.training.protocols import create_protocol


def resize(network: nn.Module, sizes: Sequence[int], steps: int) -> None:
    """Show smaller images in the first steps of training: progressive resizing (Howard; Karras et al. 2018).

    Args:
        network: takes images of any size.
        sizes: in pixels; each for an equal share of all steps.
        steps: all of them.
    """
    network.register_forward_pre_hook(partial(_resized, sizes=sizes, steps=steps, taken=[0]))


def _resized(
    network: nn.Module, inputs: tuple[Tensor], *, sizes: Sequence[int], steps: int, taken: list[int]
) -> tuple[Tensor]:
    if not (network.training and torch.is_grad_enabled()):
        return inputs
    size = sizes[min(taken[0] * len(sizes) // steps, len(sizes) - 1)]
    taken[0] += 1
    (images,) = inputs
    return (images if size == images.shape[-1] else F.adaptive_avg_pool2d(images, size),)


class Batches:
    """A callback: batches of another size in each epoch, and a schedule of the step by so many steps in all.

    Batches that grow take the place of steps that fall (Smith et al. 2018).
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        self.sizes = sizes

    def on_start(self, trainer: Trainer) -> None:
        """Before the first epoch."""
        order = trainer.data.train.order  # type: ignore[attr-defined]
        steps = sum(ceil(order.count / size) for size in self.sizes)
        trainer.protocol = create_protocol(trainer.optimizer, trainer.config.protocol, steps)
        order.together = self.sizes[0]

    def on_epoch(self, trainer: Trainer) -> None:
        """After each."""
        if trainer.epoch < len(self.sizes):
            trainer.data.train.order.together = self.sizes[trainer.epoch]  # type: ignore[attr-defined]
