"""One epoch of ResNet-18 on images of CIFAR-10's shape that stay on the device, augmented there."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from conductance.bench.clock import seconds_of
from conductance.bench.layers import COLOUR_IMAGE, channels_last
from conductance.bench.rounds import BASELINE
from conductance.data.augment import shift_and_flip
from conductance.models import create_model
from conductance.optim import create_optimizer

FAMILIES = {BASELINE: "affine_bn", "CWA": "cwa"}
WARM_UP = 5  # steps, in which libraries choose their algorithms


@dataclass(frozen=True)
class EpochSize:
    """How much an epoch is: CIFAR-10's by default."""

    images: int = 50_000
    batch: int = 125
    widths: tuple[int, ...] = (64, 128, 256, 512)


@dataclass(frozen=True)
class EpochTime:
    """What one epoch of a family took."""

    family: str
    seconds: float
    steps: int
    last_loss: float


def time_epochs(device: torch.device, size: EpochSize) -> Iterator[EpochTime]:
    """Train each family for one epoch by the optimizer that the presets use, Muon; labels are random.

    Args:
        device: where to compute.
        size: of the epoch.
    """
    images = torch.randint(256, (size.images, *COLOUR_IMAGE), dtype=torch.uint8, device=device)
    labels = torch.randint(10, (size.images,), device=device)
    for name, family in FAMILIES.items():
        step = training_step(family, size.widths, device)
        for batch in _batches(images, labels, size.batch)[:WARM_UP]:
            step(*batch)
        losses: list[Tensor] = []
        seconds = seconds_of(partial(_epoch, step, images, labels, size, losses), device, 1)
        yield EpochTime(name, seconds, len(losses), float(losses[-1]))


def training_step(family: str, widths: tuple[int, ...], device: torch.device) -> Callable[[Tensor, Tensor], Tensor]:
    """A step of training on uint8 images and their labels; returns the loss, still on the device."""
    model = channels_last(create_model("resnet18", family, COLOUR_IMAGE, 10, widths=widths).to(device))
    optimizer = create_optimizer(model, "muon", 0.03)

    def step(images: Tensor, labels: Tensor) -> Tensor:
        inputs = shift_and_flip(images).float().div_(255).contiguous(memory_format=torch.channels_last)
        loss = F.cross_entropy(model(inputs), labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss.detach()

    return step


def _batches(images: Tensor, labels: Tensor, batch: int) -> list[tuple[Tensor, Tensor]]:
    return list(zip(images.split(batch), labels.split(batch), strict=True))


def _epoch(
    step: Callable[[Tensor, Tensor], Tensor], images: Tensor, labels: Tensor, size: EpochSize, losses: list[Tensor]
) -> None:
    order = torch.randperm(len(images), device=images.device)
    losses.extend(step(images[chosen], labels[chosen]) for chosen in order.split(size.batch))
