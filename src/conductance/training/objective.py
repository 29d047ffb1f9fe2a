"""Losses, and counts of correct answers."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from conductance.data.batches import Batch
from conductance.data.order import StandIn
from conductance.errors import InputError
from conductance.nested import Nested, described, tensors_of

Loss = Callable[..., Tensor]
"""``loss(outputs, targets)``: a mean over the batch, or one number for each example."""

IGNORED = -100
"""The class of an example that torch's cross-entropy leaves out."""


class Objective:
    """The loss that training minimizes and evaluation reports.

    Args:
        loss: a function of the network's outputs and the targets. None for the cross-entropy of logits (B, K), with
            classes (B,) or probabilities of classes (B, K) as targets.
        label_smoothing: of the cross-entropy, in training only: the share of the target probability that is spread over
            all classes.
    """

    def __init__(self, loss: Loss | None = None, label_smoothing: float = 0.0) -> None:
        self.loss, self.label_smoothing = loss, label_smoothing

    def check(self, outputs: Nested, targets: Nested) -> None:
        """Check that the loss can be computed from these outputs and targets.

        Raises:
            InputError: it cannot, with the reason.
        """
        if self.loss is not None:
            return
        if not isinstance(outputs, Tensor) or not isinstance(targets, Tensor):
            got = f"a {type(outputs).__name__} as output and a {type(targets).__name__} as target"
            raise InputError(
                f"cross-entropy needs a tensor of logits and a tensor of classes, not {got}; give loss=..."
            )
        if outputs.ndim < 2:
            raise InputError(f"the network's output is {described(outputs)}, not (batch, classes); or give loss=...")
        if targets.is_floating_point():
            if targets.shape != outputs.shape:
                raise InputError(
                    f"the targets are {described(targets)}, which are not classes; for regression give a loss, "
                    "such as loss=torch.nn.functional.mse_loss"
                )
            return
        if targets.shape != outputs.shape[:1] + outputs.shape[2:]:
            raise InputError(
                f"the targets are {described(targets)}, and the network's output {described(outputs)}: the numbers of "
                f"the classes are expected as {tuple(outputs.shape[:1] + outputs.shape[2:])}"
            )
        counted = targets[targets != IGNORED]
        known = range(outputs.shape[1])
        low, high = (int(bound) for bound in torch.aminmax(counted)) if counted.numel() else (0, 0)
        if not (low in known and high in known):
            raise InputError(
                f"the classes go from {low} to {high}, but a network with {len(known)} outputs knows 0 to {known[-1]}"
            )

    def training_loss(self, inputs: Nested, outputs: Nested, targets: Nested) -> Tensor:
        """Mean loss of a batch, in training."""
        del inputs
        if self.loss is not None:
            return self.loss(outputs, targets).mean()
        return F.cross_entropy(outputs, targets, label_smoothing=self.label_smoothing)

    def evaluation_loss(self, outputs: Nested, targets: Nested) -> Tensor:
        """Mean loss of a batch, in evaluation: without label smoothing."""
        if self.loss is not None:
            return self.loss(outputs, targets).mean()
        return F.cross_entropy(outputs, targets)

    def correct(self, outputs: Nested, targets: Nested) -> Tensor | None:
        """Number of correct answers in a batch; None if the targets are not classes.

        Of probabilities of classes, the largest counts. If an example has several classes, one for each pixel, it
        counts by the fraction of them that is correct.
        """
        if not (isinstance(outputs, Tensor) and isinstance(targets, Tensor) and outputs.ndim >= 2):
            return None
        if targets.is_floating_point() and self.loss is None and targets.shape == outputs.shape:
            targets = targets.argmax(1)
        if targets.is_floating_point() or targets.shape != outputs.shape[:1] + outputs.shape[2:]:
            return None
        right = outputs.detach().argmax(1) == targets
        return right.sum() if right.ndim == 1 else right.flatten(1).float().mean(1).sum()


def examples_in(batch: Batch) -> int:
    """Number of examples that a batch counts for."""
    return 0 if isinstance(batch, StandIn) else len(next(tensors_of(batch[1])))
