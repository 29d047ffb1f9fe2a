"""An epoch's loss and accuracy, summed where the network runs."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class Tally:
    """Sums over the batches of an epoch, kept on the device until somebody looks."""

    losses: Tensor
    correct: Tensor
    images: int = 0
    steps: int = 0

    @classmethod
    def of(cls, steps: int, device: torch.device) -> "Tally":
        """An empty tally with room for ``steps`` batches."""
        return cls(torch.zeros(steps, device=device), torch.zeros((), dtype=torch.int64, device=device))

    def add(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Count one batch; waits for nothing. A mixed image's label is the class that has the largest share of it."""
        if labels.is_floating_point():
            labels = labels.argmax(1)
        self.losses[self.steps] = loss.detach()
        self.correct += (logits.detach().argmax(1) == labels).sum()
        self.images += len(labels)
        self.steps += 1

    def loss(self) -> float:
        """Mean loss so far."""
        return float(self.losses[: self.steps].mean())

    def accuracy(self) -> float:
        """Share of correct answers so far, in %."""
        return 100 * float(self.correct) / max(1, self.images)

    def first_bad_step(self) -> int | None:
        """The first batch, counted from 1, whose loss is infinite or NaN."""
        bad = (~self.losses[: self.steps].isfinite()).nonzero()
        return int(bad[0]) + 1 if len(bad) else None
