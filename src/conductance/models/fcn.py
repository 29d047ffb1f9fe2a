"""The fully connected network (paper section 4.2)."""

from collections.abc import Sequence
from itertools import pairwise
from math import prod

from torch import Tensor, nn

from conductance.checked import checked
from conductance.errors import InputError
from conductance.models.families import Family
from conductance.models.shape import check_shape

MNIST_WIDTHS = (2000, 2000)
CIFAR_WIDTHS = (2000, 1000, 500)


class FCN(nn.Module):
    """Fully connected hidden layers of one family, then an affine readout.

    Args:
        family: what the hidden layers are made of.
        input_shape: (channels, height, width); images are flattened.
        num_classes: outputs of the readout.
        widths: units of each hidden layer; the paper's by default (2000, 2000 for gray images, 2000, 1000, 500 for
            color).
        dropout: share of each hidden layer's units that are silent in a training step, drawn anew for each image, in
            [0, 1). The others are scaled up by as much, so that the leak keeps its share of a unit's conductance; an
            average knows ratios only, so nothing else comes of p above 1. All units speak when the network is used.

    Raises:
        InputError: a dropout out of range.
    """

    @checked
    def __init__(
        self,
        family: Family,
        input_shape: tuple[int, int, int],
        num_classes: int,
        *,
        widths: Sequence[int] | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_shape(input_shape, num_classes, widths)
        if not 0 <= dropout < 1:
            raise InputError(f"dropout={dropout}: must lie in [0, 1), or no unit is left to learn")
        if widths is None:
            widths = MNIST_WIDTHS if input_shape[0] == 1 else CIFAR_WIDTHS
        sizes = [prod(input_shape), *widths]
        self.hidden = nn.Sequential(*(family.linear(a, b, first=i == 0) for i, (a, b) in enumerate(pairwise(sizes))))
        self.dropout = nn.Dropout(dropout)
        self.readout = nn.Linear(sizes[-1], num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, C, H, W) to logits (N, num_classes)."""
        p = images.flatten(1)
        for layer in self.hidden:
            p = self.dropout(layer(p))
        return self.readout(p)
