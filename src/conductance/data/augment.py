"""Augmentation by random shifts and horizontal flips."""

from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from conductance.checked import checked
from conductance.data.images import require_pixels
from conductance.errors import InputError


class Augmentation(Protocol):
    """A random change of images, such as `shift_and_flip`."""

    def __call__(self, images: Tensor, *, generator: torch.Generator | None) -> Tensor:
        """Change uint8 images (B, C, H, W) at random. Shape, dtype and device stay the same."""
        ...


@checked
def shift_and_flip(
    images: Tensor, max_shift: int = 4, flip: bool = True, generator: torch.Generator | None = None
) -> Tensor:
    """Shift each image by a random offset, and flip it from left to right with probability 1/2.

    Args:
        images: uint8 of shape (B, C, H, W).
        max_shift: the largest offset in pixels, vertically and horizontally; every whole number of pixels is equally
            likely. Pixels from outside the image are 0, black.
        flip: whether to flip images.
        generator: the random number generator; torch's default generator of the images' device if None.

    Returns:
        A new tensor of the same shape, dtype and device.

    Raises:
        InputError: `images` has another dtype or shape, or `max_shift` is negative.
    """
    require_pixels(images)
    if max_shift < 0:
        raise InputError(f"max_shift must be 0 or more pixels, not {max_shift}")
    batch, channels, height, width = images.shape
    down, right, mirrored = _draws(batch, max_shift, flip, images.device, generator)
    columns = torch.arange(width, device=images.device)
    columns = torch.where(mirrored, width - 1 - columns, columns) + right
    rows = torch.arange(height, device=images.device)[:, None] + down
    padded_width = width + 2 * max_shift
    # The position of each output pixel in the padded image, the same for all channels, so that one gather does all.
    places = (rows * padded_width + columns).view(batch, 1, height * width).expand(-1, channels, -1)
    return F.pad(images, [max_shift] * 4).flatten(2).gather(2, places).view_as(images)


def _draws(
    batch: int, max_shift: int, flip: bool, device: torch.device, generator: torch.Generator | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Offsets into the padded image, down and right, and which images are flipped; each of shape (B, 1, 1)."""
    source = device if generator is None else generator.device
    offsets = torch.randint(2 * max_shift + 1, (2, batch, 1, 1), device=source, generator=generator)
    mirrored = torch.randint(1 + flip, (batch, 1, 1), device=source, generator=generator).bool()
    down, right = offsets.to(device)
    return down, right, mirrored.to(device)
