"""Labeled images, and data sets of them."""

from dataclasses import dataclass

import torch
from torch import Tensor

from conductance.checked import checked
from conductance.errors import InputError


@checked
@dataclass(frozen=True, eq=False)
class Images:
    """N labeled images of C channels, H rows and W columns.

    Attributes:
        pixels: uint8 of shape (N, C, H, W), 0 black to 255 full.
        labels: int64 of shape (N,), each an index into the data set's classes.

    Raises:
        InputError: a wrong dtype or shape, or different lengths.
    """

    pixels: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        require_pixels(self.pixels)
        if self.labels.dtype != torch.int64 or self.labels.shape != self.pixels.shape[:1]:
            raise InputError(
                f"labels must be int64 of shape ({len(self.pixels)},), one for each image, "
                f"not {_described(self.labels)}"
            )

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def device(self) -> torch.device:
        """The device of the pixels."""
        return self.pixels.device

    def to(self, device: torch.device | str) -> "Images":
        """The same images on `device`; they are not copied if they are there already."""
        return Images(self.pixels.to(device), self.labels.to(device))

    def subset(self, indices: Tensor) -> "Images":
        """The images at `indices` (int64 of shape (M,), on any device), in that order."""
        indices = indices.to(self.device)
        return Images(self.pixels.index_select(0, indices), self.labels.index_select(0, indices))


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set.

    Attributes:
        name: its name.
        train: images to train on.
        test: images to test on.
        classes: the name of each label, in order.
        validation: images to choose by, if the data set has such a part.
    """

    name: str
    train: Images
    test: Images
    classes: tuple[str, ...]
    validation: Images | None = None

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of every image."""
        _, channels, height, width = self.train.pixels.shape
        return channels, height, width

    @property
    def num_classes(self) -> int:
        """Number of classes; labels go from 0 to num_classes - 1."""
        return len(self.classes)


@checked
def split_validation(images: Images, count: int, seed: int) -> tuple[Images, Images | None]:
    """Set `count` random images aside for validation, whatever their class.

    Returns:
        The images to train on, and the `count` others, or None if `count` is 0.

    Raises:
        InputError: `count` is negative, or no image would be left to train on.
    """
    if not 0 <= count < len(images):
        raise InputError(
            f"cannot set {count} of {len(images)} images aside for validation: "
            f"choose a count from 0 to {len(images) - 1}"
        )
    if count == 0:
        return images, None
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    return images.subset(order[count:]), images.subset(order[:count])


def require_pixels(tensor: Tensor) -> None:
    """Check that a tensor holds images.

    Raises:
        InputError: `tensor` is not uint8 of shape (N, C, H, W).
    """
    if tensor.dtype != torch.uint8 or tensor.ndim != 4:
        raise InputError(f"pixels must be uint8 of shape (N, C, H, W), not {_described(tensor)}")


def _described(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} of shape {tuple(tensor.shape)}"
