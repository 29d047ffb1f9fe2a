"""The convolutional network: strided convolutions, no pooling (paper section 4.2)."""

from collections.abc import Sequence
from itertools import pairwise
from math import ceil

from torch import Tensor, nn

from conductance.checked import checked
from conductance.errors import InputError
from conductance.models.families import Family
from conductance.models.shape import check_shape

MNIST_WIDTHS = (32, 64, 128, 256)
CIFAR_WIDTHS = (32, 64, 128, 256, 512)

DEFAULT_KERNEL = 5  # of the first layer (section 4.3)


class CNN(nn.Module):
    """Convolutions of stride 2, the first 5x5 (paper section 4.3), the others 3x3, then an affine readout.

    Args:
        family: what the convolutions are made of.
        input_shape: (channels, height, width).
        num_classes: outputs of the readout.
        widths: channels of each convolution; the paper's by default (32 to 256 for gray images, 32 to 512 for color).
        first_kernel: size of the first kernel; odd.
        kernel: size of the others, which the paper does not give; odd.

    Raises:
        InputError: a kernel of another size.
    """

    @checked
    def __init__(
        self,
        family: Family,
        input_shape: tuple[int, int, int],
        num_classes: int,
        *,
        widths: Sequence[int] | None = None,
        first_kernel: int = DEFAULT_KERNEL,
        kernel: int = 3,
    ) -> None:
        super().__init__()
        check_shape(input_shape, num_classes, widths)
        channels, height, width = input_shape
        largest = 2 * max(height, width) - 1
        for name, size in (("first_kernel", first_kernel), ("kernel", kernel)):
            if size < 1 or size % 2 == 0:
                raise InputError(f"{name}={size}: must be odd, 1 or more, or no pixel is in its middle")
            if size > max(largest, DEFAULT_KERNEL):
                raise InputError(f"{name}={size}: beyond {largest} it reads what lies outside of images alone")
        if widths is None:
            widths = MNIST_WIDTHS if channels == 1 else CIFAR_WIDTHS
        sizes = [channels, *widths]
        layers = []
        for i, (a, b) in enumerate(pairwise(sizes)):
            size = first_kernel if i == 0 else kernel
            layers.append(family.conv2d(a, b, size, 2, size // 2, first=i == 0))
            height, width = ceil(height / 2), ceil(width / 2)
        self.hidden = nn.Sequential(*layers)
        self.readout = nn.Linear(sizes[-1] * height * width, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, C, H, W) to logits (N, num_classes)."""
        return self.readout(self.hidden(images).flatten(1))
