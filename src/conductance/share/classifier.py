"""A network together with what turns images into its input, and the names of its classes."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from conductance.checked import checked
from conductance.data import Preprocessing
from conductance.eager import eager
from conductance.errors import InputError
from conductance.ranges import extent

FULL = 255


class ImageClassifier(nn.Module):
    """A network that takes images as they are.

    Input (N, C, H, W): uint8, or floating-point numbers in [0, 1]; output (N, classes), the logits.

    Args:
        network: what classifies preprocessed images.
        preprocessing: what makes its input of pixels.
        classes: the name of each class.
        input_shape: (C, H, W) of the images, where only one fits.
    """

    @checked
    def __init__(
        self,
        network: nn.Module,
        preprocessing: Preprocessing,
        classes: Sequence[str] | None = None,
        input_shape: tuple[int, int, int] | None = None,
    ) -> None:
        super().__init__()
        self.preprocessing = preprocessing
        self.network = network
        self.classes = None if classes is None else tuple(classes)
        self.input_shape = input_shape

    def forward(self, images: Tensor) -> Tensor:
        """Images to logits.

        Raises:
            InputError: another shape, or values outside [0, 1].
        """
        self._check_shape(images)
        if images.dtype == torch.uint8:
            return self._logits(self.preprocessing(images))
        if eager():
            seen = extent(images)
            if not seen.within(0.0, 1.0) or seen.low < 0:
                raise InputError(f"the images hold {seen}; give values in [0, 1] (images / 255), or uint8")
        return self._logits(self.preprocessing.of_values(images * FULL))

    def _logits(self, inputs: Tensor) -> Tensor:
        logits: Tensor = self.network(inputs)
        return logits

    def classify(self, images: Tensor) -> list[str]:
        """The name of each image's class.

        Raises:
            InputError: as for a call; or the classes have no names.
        """
        if self.classes is None:
            raise InputError("the classes have no names; save the network with classes=[...]")
        with torch.no_grad():
            return [self.classes[index] for index in self(images).argmax(1).tolist()]

    def _check_shape(self, images: Tensor) -> None:
        channels = len(self.preprocessing.scale)
        fits = images.ndim == 4 and images.shape[1] == channels
        if self.input_shape is not None:
            fits = images.ndim == 4 and tuple(images.shape[1:]) == tuple(self.input_shape)
        if not fits:
            wanted = f"{channels}, height, width" if self.input_shape is None else ", ".join(map(str, self.input_shape))
            raise InputError(f"the images have the shape {tuple(images.shape)}; give (N, {wanted})")

    def extra_repr(self) -> str:
        """The classes."""
        return "" if self.classes is None else f"{len(self.classes)} classes"
