"""Sequences to learn: digits row by row, permuted, pixel by pixel, and a decision about noisy evidence."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from studies.shared.few_images import FewImages, Part, few_images

COHERENCES = (0.05, 0.1, 0.2, 0.4)
NOISE, SHOWN, DELAY = 0.3, 15, 8
TRIALS = 3000


@dataclass(frozen=True)
class Task:
    """What is learned, and how long.

    Attributes:
        samples: from a seed and the folder of the data sets to sequences (N, time, features) in [0, 1].
        features: of each element of a sequence.
        classes: how many answers there are.
        units: of the recurrent conductance layer; other networks have as many parameters.
        epochs, batch: of the training.
        stretch: an answer is given, and gradients end, after every so many steps; None for the last step alone.
    """

    samples: Callable[[int, Path | None], FewImages]
    features: int
    classes: int = 10
    units: int = 128
    epochs: int = 8
    batch: int = 50
    stretch: int | None = None


def rows(number: int, seed: int, data_dir: Path | None) -> FewImages:
    """MNIST as sequences of 28 rows."""
    return few_images("mnist", number, seed, data_dir).each(lambda pixels: pixels.squeeze(1))


def permuted(number: int, seed: int, data_dir: Path | None) -> FewImages:
    """The same with all pixels of an image in another order, the same for all images."""
    order = torch.randperm(784, generator=torch.Generator().manual_seed(0))
    return rows(number, seed, data_dir).each(lambda pixels: pixels.flatten(1)[:, order].view(-1, 28, 28))


def pixels(number: int, seed: int, data_dir: Path | None) -> FewImages:
    """MNIST as sequences of 784 pixels."""
    return few_images("mnist", number, seed, data_dir).each(lambda pixels: pixels.flatten(1)[..., None])


def decisions(seed: int, data_dir: Path | None = None) -> FewImages:
    """Which of two noisy inputs is stronger in the mean, to be said after a delay.

    Channels are a cue that ends with the delay, and two of evidence, 0.5 ± coherence/2 with Gaussian noise, clipped
    to [0, 1] and silent in the delay. Trials to learn from differ by seed; the others are the same.
    """
    del data_dir
    return FewImages(_trials(TRIALS, seed + 2), _trials(1000, 0), _trials(2000, 1))


def _trials(number: int, seed: int) -> Part:
    random = torch.Generator().manual_seed(seed)
    labels = torch.randint(2, (number,), generator=random)
    coherence = torch.tensor(COHERENCES)[torch.randint(len(COHERENCES), (number,), generator=random)]
    lean = (coherence / 2 * (1 - 2 * labels))[:, None] * torch.tensor([1.0, -1.0])
    evidence = 0.5 + lean[:, None] + NOISE * torch.randn(number, SHOWN, 2, generator=random)
    sequence = torch.zeros(number, SHOWN + DELAY + 1, 3)
    sequence[:, :-1, 0] = 1.0
    sequence[:, :SHOWN, 1:] = evidence.clamp(0, 1)
    return Part(sequence, labels)


def best_answers(part: Part) -> Tensor:
    """What an observer says who forgets nothing: the input with the larger sum, (N,)."""
    return part.inputs[..., 1:].sum(1).argmax(1)


TASKS = {
    "rows": Task(lambda seed, folder: rows(4000, seed, folder), 28),
    "permuted rows": Task(lambda seed, folder: permuted(4000, seed, folder), 28),
    "decision": Task(decisions, 3, classes=2, units=64, epochs=6),
    "pixels": Task(lambda seed, folder: pixels(2000, seed, folder), 1, units=64, epochs=4, stretch=112),
    "rows, 50,000 images": Task(lambda seed, folder: rows(50_000, seed, folder), 28, epochs=8, batch=100),
}
