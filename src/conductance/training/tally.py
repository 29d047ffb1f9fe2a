"""Sums of loss and correct answers over the batches of an epoch."""

from math import isfinite
from typing import NamedTuple

import torch
from torch import Tensor

from conductance.nested import Nested, all_finite


class Sums(NamedTuple):
    """Sums over examples, which can be added over processes.

    Attributes:
        loss: of all examples.
        correct: number of correct answers.
        answered: number of examples whose answers were counted, because the targets are classes.
        examples: number of examples.
    """

    loss: float
    correct: float
    answered: float
    examples: float


def means(sums: Sums, prefix: str = "") -> dict[str, float]:
    """Mean loss and, if the targets are classes, accuracy (in %)."""
    mean = {f"{prefix}loss": sums.loss / max(1.0, sums.examples)}
    return mean | ({f"{prefix}accuracy": 100 * sums.correct / sums.answered} if sums.answered else {})


class Tally:
    """Sums over batches. They stay on the device until they are read, so that no step waits for them.

    All means are over examples: each batch is weighted by its size.
    """

    def __init__(self) -> None:
        self.losses: list[Tensor] = []
        self.sizes: list[int] = []
        self.finite: list[Tensor | bool] = []
        self.correct: Tensor | None = None

    def add(self, loss: Tensor, size: int, correct: Tensor | None = None, data: Nested = ()) -> None:
        """Add one batch.

        Args:
            loss: its mean loss.
            size: its number of examples.
            correct: how many of them were answered correctly; None if the targets are not classes.
            data: its inputs and targets, which are searched for NaN and infinite values. On a CPU a finite loss spares
                the search; on a GPU, reading the loss would wait for the device.
        """
        self.losses.append(loss.detach())
        self.sizes.append(size)
        self.finite.append((loss.device.type == "cpu" and isfinite(loss.item())) or all_finite(data))
        if correct is not None:
            self.correct = correct if self.correct is None else self.correct + correct

    @property
    def steps(self) -> int:
        """Number of batches so far."""
        return len(self.losses)

    @property
    def examples(self) -> int:
        """Number of examples so far."""
        return sum(self.sizes)

    def sums(self) -> Sums:
        """The sums so far."""
        losses = torch.stack(self.losses).double().cpu() if self.losses else torch.zeros(0, dtype=torch.float64)
        loss = float(losses @ torch.tensor(self.sizes, dtype=torch.float64))
        if self.correct is None:
            return Sums(loss, 0.0, 0.0, float(self.examples))
        return Sums(loss, float(self.correct), float(self.examples), float(self.examples))

    def loss(self) -> float:
        """Mean loss so far."""
        return means(self.sums())["loss"]

    def accuracy(self) -> float | None:
        """Correct answers so far, in %; None if the targets are not classes."""
        return means(self.sums()).get("accuracy")

    def first_bad_step(self) -> int | None:
        """Number of the first batch, from 1, whose loss is infinite or NaN; None if there is none."""
        if not self.losses:
            return None
        bad = (~torch.stack(self.losses).isfinite()).nonzero()
        return int(bad[0]) + 1 if len(bad) else None
