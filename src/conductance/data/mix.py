"""Mixup: mixtures of two images and of their classes."""

from typing import Protocol

import torch
from torch import Tensor

from conductance.checked import checked, require_counts
from conductance.errors import InputError


class Mixing(Protocol):
    """A function that mixes the images of a batch, such as `mix` with a given number of classes."""

    def __call__(self, images: Tensor, labels: Tensor, *, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """Mix float images (B, C, H, W) with labels (B,); returns images and the shares of their classes (B, K)."""
        ...


@checked
def mix(
    images: Tensor,
    labels: Tensor,
    num_classes: int,
    max_share: float = 0.5,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Mix each image with another one of its batch, in a random proportion.

    ``(1 - s) image + s other``, with s uniform in [0, max_share], and the same mixture of the two classes. With
    max_share = 1/2 this is mixup (Zhang et al. 2018, arXiv 1710.09412) with Beta(1, 1), except that an image is always
    at least half of its own mixture. Mixtures of open probabilities are open probabilities.

    Args:
        images: float of shape (B, C, H, W).
        labels: int64 of shape (B,), in [0, num_classes).
        num_classes: how many classes there are.
        max_share: the largest share of the other image, in [0, 1/2].
        generator: the random number generator; torch's default generator of the images' device if None.

    Returns:
        New images of the same shape, dtype and device, and the shares of the classes, of the images' dtype, shape
        (B, num_classes): each row sums to 1, and its largest entry is that of the image's own class.

    Raises:
        InputError: `max_share` is not in [0, 1/2], or labels that do not fit.
    """
    if not 0 <= max_share <= 0.5:
        raise InputError(f"max_share must lie in [0, 0.5], not {max_share}")
    if labels.numel():
        require_counts(num_classes=num_classes)
    if labels.dtype != torch.int64 or labels.shape != images.shape[:1]:
        raise InputError(f"labels must be int64 of shape {tuple(images.shape[:1])}, one for each image")
    source = images.device if generator is None else generator.device
    other = torch.randperm(len(images), device=source, generator=generator).to(images.device)
    share = max_share * torch.rand(len(images), device=source, generator=generator).to(images)
    classes = torch.eye(num_classes, dtype=images.dtype, device=images.device)[labels]
    mixed = torch.lerp(images, images[other], share.view(-1, 1, 1, 1))
    return mixed, torch.lerp(classes, classes[other], share[:, None])
