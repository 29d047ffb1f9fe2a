"""Runs of a blink on the embedded digits: material for tests, never results."""

import json
from dataclasses import replace

from conductance.runs import ModelConfig, RunConfig, RunFolder
from conductance.training import train
from conductance.training.progress import TrainingProgress

STEPS = 13  # batches of 100 in the 1,297 training images
ARCHITECTURES = {"cwa": "cnn", "cwa_bn": "fcn", "affine": "cnn", "affine_bn": "fcn", "absnorm": "resnet18"}


def tiny(family="cwa", architecture="fcn", **choices):
    """Two epochs of two layers of eight units; `data__batch_size=50` changes a field of a part."""
    config = RunConfig("tiny", epochs=2, model=ModelConfig(architecture, family, (8, 8)))
    for name, value in choices.items():
        *part, field = name.split("__")
        change = {field: value}
        for outer in part:
            change = {outer: replace(getattr(config, outer), **change)}
        config = replace(config, **change)
    return config


def run(config, out, **options):
    return train(config, out, device="cpu", **options)


def lines(folder):
    """The metrics, without the seconds that no two runs share."""
    metrics = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name != "seconds"} for line in metrics]


def weights(folder):
    """What was learnt, down to the last bit."""
    return {name: tensor.numpy().tobytes() for name, tensor in RunFolder(folder).read_weights().items()}


def contents(folder):
    """Every file's bytes."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def at_step(number, act):
    """A replacement of `TrainingProgress.step` that acts at the step of this number, counted from 1 over all epochs."""
    step, taken = TrainingProgress.step, 0

    def counting(self):
        nonlocal taken
        taken += 1
        if taken == number:
            act()
        step(self)

    return counting
