"""What a long training would cost, from the sizes of its layers: an estimate, not a measurement."""

from dataclasses import dataclass

import torch
from torch import nn

from conductance.analysis.summary import summary
from conductance.errors import InputError

FORWARD_AND_BACKWARD = 3
"""Products of a step for each of its forward pass: the gradients by inputs and by weights are two more."""

OPERATIONS = 2
"""A multiplication and an addition."""


@dataclass(frozen=True)
class TrainingCost:
    """What the products of a training take.

    Attributes:
        multiply_adds: of one forward pass, for one image.
        images: that are trained on, counted as often as they come.
    """

    multiply_adds: int
    images: int

    @property
    def operations(self) -> float:
        """Floating-point operations of all steps."""
        return float(OPERATIONS * FORWARD_AND_BACKWARD) * self.multiply_adds * self.images

    def hours(self, rate: float, share: float) -> float:
        """Hours on one device.

        Args:
            rate: floating-point operations a second that it reaches in a large product.
            share: of that rate which a whole step reaches, in (0, 1].

        Raises:
            InputError: a number is out of range.
        """
        if not rate > 0 or not 0 < share <= 1:
            raise InputError(f"rate={rate}, share={share}: a rate is positive, and a share lies in (0, 1]")
        return self.operations / (rate * share) / 3600


def training_cost(network: nn.Module, input_shape: tuple[int, ...], images: int, epochs: int) -> TrainingCost:
    """The cost of training a network, which may be on the meta device.

    Args:
        network: any module.
        input_shape: of one input, without the batch.
        images: in an epoch.
        epochs: passes over them.
    """
    size = summary(network, torch.empty(1, *input_shape, device=next(network.parameters()).device))
    return TrainingCost(size.multiply_adds, images * epochs)
