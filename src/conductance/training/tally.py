"""An epoch's loss and accuracy, summed where the network runs."""

import torch
from torch import Tensor


class Tally:
    """Sums over the batches of an epoch. They stay on the device until somebody looks.

    All means are means over examples: a batch counts by its size.
    """

    def __init__(self) -> None:
        self.losses: list[Tensor] = []
        self.sizes: list[int] = []
        self.finite: list[Tensor] = []
        self.correct: Tensor | None = None

    def add(self, loss: Tensor, size: int, correct: Tensor | None = None, finite: Tensor | None = None) -> None:
        """Count one batch; waits for nothing.

        Args:
            loss: its mean.
            size: how many examples it has.
            correct: how many of them were answered correctly; None where that means nothing.
            finite: whether its data are free of NaN and infinite values.
        """
        self.losses.append(loss.detach())
        self.sizes.append(size)
        self.finite.append(torch.tensor(True) if finite is None else finite)
        if correct is not None:
            self.correct = correct if self.correct is None else self.correct + correct

    @property
    def steps(self) -> int:
        """Batches so far."""
        return len(self.losses)

    @property
    def examples(self) -> int:
        """Examples so far."""
        return sum(self.sizes)

    def sums(self) -> list[float]:
        """Of the loss, of correct answers, and of examples: what processes add up."""
        losses = torch.stack(self.losses).double().cpu() if self.losses else torch.zeros(0, dtype=torch.float64)
        sizes = torch.tensor(self.sizes, dtype=torch.float64)
        return [float(losses @ sizes), 0.0 if self.correct is None else float(self.correct), float(self.examples)]

    def loss(self) -> float:
        """Mean loss so far."""
        total, _, examples = self.sums()
        return total / max(1.0, examples)

    def accuracy(self) -> float | None:
        """Share of correct answers so far, in %; None where there is no such thing."""
        return None if self.correct is None else 100 * float(self.correct) / max(1, self.examples)

    def first_bad_step(self) -> int | None:
        """The first batch, counted from 1, whose loss is infinite or NaN."""
        if not self.losses:
            return None
        bad = (~torch.stack(self.losses).isfinite()).nonzero()
        return int(bad[0]) + 1 if len(bad) else None
