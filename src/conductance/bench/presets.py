"""Epochs of the named presets: training by Muon on augmented images, evaluation; random images of CIFAR-10's shape."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import torch

from conductance.bench.layers import COLOUR_IMAGE
from conductance.bench.rounds import BASELINE, Timing, take_turns

FAMILIES = {BASELINE: "affine_bn", "CWA": "cwa"}
STEPS = {"fcn": 5, "cnn": 20, "resnet18": 2}  # of training; CIFAR-10 has 50, 400 and 400
PER_TEST = 5  # training images for each that is evaluated, as CIFAR-10 has them


def bench_presets(
    device: torch.device, rounds: int, steps: Mapping[str, int] = STEPS, dataset: str = "cifar10"
) -> Iterator[Timing]:
    """Time a short epoch of each preset, evaluation included, as the trainer runs it.

    Args:
        device: where to compute.
        rounds: how often everybody takes their turn.
        steps: of the epoch, for each architecture.
        dataset: whose presets; the images are of CIFAR-10's shape in any case.
    """
    for architecture, number in steps.items():
        runs = {name: _epoch(f"{dataset}-{architecture}-{family}", number, device) for name, family in FAMILIES.items()}
        yield from take_turns(f"{dataset}-{architecture}, {number} steps and evaluation", runs, rounds, device)


def _epoch(preset: str, steps: int, device: torch.device) -> Callable[[], object]:
    from conductance.data import Dataset, Images
    from conductance.presets import get_preset
    from conductance.training.run import build_trainer

    config = get_preset(preset)
    config = replace(config, data=replace(config.data, validation_images=0))
    number = steps * config.data.batch_size
    pixels = torch.randint(256, (number + number // PER_TEST, *COLOUR_IMAGE), dtype=torch.uint8)
    images = Images(pixels, torch.randint(10, (len(pixels),)))
    train, test = (images.subset(torch.arange(*ends)) for ends in ((0, number), (number, len(pixels))))
    dataset = Dataset("random", train, test, tuple(map(str, range(10))))
    trainer = build_trainer(config, dataset, device=device.type)

    def one_more() -> None:
        trainer.config = replace(trainer.config, epochs=len(trainer.history) + 1)
        trainer.fit()

    return one_more
