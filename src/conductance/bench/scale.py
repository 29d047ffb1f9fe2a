"""Time and memory of a training step against the size of a network and its batches."""

import os
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from conductance.bench.clock import seconds_of
from conductance.bench.memory import peak_bytes
from conductance.models import create_model, get_family
from conductance.nn import CWAConv2d
from conductance.optim import create_optimizer, estimate
from conductance.training import Trainer, TrainingConfig

CLASSES = 10
IMAGENET = {"images": 1_281_167, "size": 224, "classes": 1000}


@dataclass(frozen=True)
class Case:
    """A stack of convolutions of conductances, 3x3 and without stride, and a batch of color images."""

    width: int = 64
    depth: int = 4
    image: int = 16
    batch: int = 32

    def network(self) -> nn.Module:
        """Each hidden layer with as many excitatory as inhibitory units, the first one reading the image doubled."""
        layers = [CWAConv2d(3, self.width, 3, padding=1, doubled_input=True)]
        layers += [CWAConv2d(self.width, self.width, 3, padding=1) for _ in range(self.depth - 1)]
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(self.width, CLASSES))

    def images(self) -> torch.Tensor:
        """Random pixels."""
        return torch.rand(self.batch, 3, self.image, self.image)


BASE = Case()
GROWN = {
    "width": (32, 64, 128, 256),
    "depth": (2, 4, 8, 16),
    "image": (8, 16, 32),
    "batch": (8, 32, 128),
}
"""The values of each size, while the others are those of `BASE`."""


@dataclass(frozen=True)
class Measurement:
    """One step of Muon.

    Attributes:
        varied: the size that differs from `BASE`.
        case: all sizes.
        milliseconds: of the processor, on one thread, whatever else runs on the machine; median over the rounds.
        megabytes: the most that is held at once, with network and optimizer.
        estimated: what `optim.estimate` says it would be, in MB.
    """

    varied: str
    case: Case
    milliseconds: float
    megabytes: float
    estimated: float


def measure_scale(rounds: int) -> Iterator[Measurement]:
    """Measure all cases on the CPU, on one thread."""
    torch.set_num_threads(1)
    for varied, values in GROWN.items():
        for value in values:
            case = replace(BASE, **{varied: value})
            estimated = estimate(case.network(), case.images()).total
            milliseconds, peak = _step(case, rounds)
            yield Measurement(varied, case, milliseconds, peak / 1e6, estimated / 1e6)


def _step(case: Case, rounds: int) -> tuple[float, int]:
    """Milliseconds of a step, and the most that making the network and taking two steps holds at once."""
    device = torch.device("cpu")
    labels = torch.randint(0, CLASSES, (case.batch,))

    def train(steps: int, timed: list[float]) -> None:
        network, images = case.network(), case.images()
        optimizer = create_optimizer(network)

        def step() -> None:
            F.cross_entropy(network(images), labels).backward()
            optimizer.step()
            optimizer.zero_grad()

        timed += [seconds_of(step, device) for _ in range(steps)]

    timed: list[float] = []
    train(rounds + 1, timed)
    return 1e3 * statistics.median(timed[1:]), peak_bytes(lambda: train(2, []), device)


class _Clock:
    """Notes the processor's time at the end of each epoch."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def on_epoch(self, _: Trainer) -> None:
        self.times.append(time.process_time())


def measure_process(folder: Path, epochs: int = 4, steps: int = 8) -> None:
    """Train `BASE` in this process and those started with it; each writes its milliseconds for a step into a folder.

    All of them together have batches of the size of `BASE`. It is the time of a process's own processor, which waits
    for the others in vain: their messages are in it, but not the time until they come.
    """
    clock, processes = _Clock(), int(os.environ.get("WORLD_SIZE", "1"))
    case = replace(BASE, batch=steps * BASE.batch)
    config = TrainingConfig(epochs=epochs, batch_size=BASE.batch // processes)
    data = (case.images(), torch.randint(0, CLASSES, (case.batch,)))
    trainer = Trainer(case.network(), data, config, device="cpu", progress=False, callbacks=[clock])
    trainer.fit()
    milliseconds = 1e3 * min(later - earlier for earlier, later in pairwise(clock.times)) / steps
    (folder / f"{trainer.process_index}.txt").write_text(f"{milliseconds:.3f}")


def imagenet_resnet18(family: str) -> nn.Module:
    """ResNet-18 as He et al. 2016 have it for ImageNet: a 7x7 stem of stride 2 and a maximum before the stages.

    Made within ``with torch.device("meta")``, it takes no memory.
    """
    side = IMAGENET["size"] // 4
    network = create_model("resnet18", family, (3, side, side), IMAGENET["classes"])
    stem = get_family(family).conv2d(3, 64, 7, 2, 3, first=True)
    network.stem = nn.Sequential(stem, nn.MaxPool2d(3, 2, 1))
    return network
