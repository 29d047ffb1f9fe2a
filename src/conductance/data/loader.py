"""Batches of images that never leave their device."""

from collections.abc import Callable, Iterator
from copy import copy

import torch
from torch import Tensor, nn

from conductance.data.augment import Augmentation
from conductance.data.images import Images
from conductance.data.mix import Mixing
from conductance.data.order import EpochOrder, Place


class DeviceLoader:
    """Hands out one epoch of batches each time it is iterated over.

    Every random draw comes from the loader's seed and the place it is drawn for: the epoch for the order of the
    images, which all ranks share, and the epoch, the batch and the rank for what is drawn for the images. So a loader
    that takes up a saved state goes on exactly as the saved one would have (`EpochOrder`).

    Args:
        images: what to hand out; they stay on their device.
        batch_size: images in a batch, on this rank.
        preprocessing: makes the network's float input of a uint8 batch; it must be on the same device.
        augmentation: changes the uint8 batch before that; None leaves it as it is.
        mixing: mixes the network's inputs, and their labels, after that; None leaves them as they are.
        shuffle: whether each epoch has a new order, or all have that of `images`.
        seed: decides every order and every augmentation; 0 or more.
        rank: which of `world_size` processes this one is, from 0.
        world_size: how many processes share the images.
        drop_last: whether to leave out images that fill no batch on every rank.

    Raises:
        InputError: a number is out of its range, or no batch would be handed out.
    """

    def __init__(
        self,
        images: Images,
        batch_size: int,
        *,
        preprocessing: Callable[[Tensor], Tensor],
        augmentation: Augmentation | None = None,
        mixing: Mixing | None = None,
        shuffle: bool,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        drop_last: bool = False,
    ) -> None:
        self.images = images
        self.preprocessing = preprocessing
        self.augmentation = augmentation
        self.mixing = mixing
        self.order = EpochOrder(
            len(images),
            batch_size,
            shuffle=shuffle,
            seed=seed,
            rank=rank,
            world_size=world_size,
            drop_last=drop_last,
        )

    def __len__(self) -> int:
        """Batches in a whole epoch, on this rank."""
        return len(self.order)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Begin the next epoch or, after `load_state_dict`, go on with the one that was saved.

        Yields:
            The preprocessed images, float32 of shape (B, C, H, W), and their labels, int64 of shape (B,), or where
            images are mixed the shares of their classes, float32 of shape (B, K).
        """
        return map(self._draw, self.order)

    def first(self) -> tuple[Tensor, Tensor]:
        """The first batch of the first epoch; the next epoch stays the next."""
        return self._draw(self.order.first())

    def to(self, device: torch.device | str) -> "DeviceLoader":
        """The same batches on ``device``."""
        moved = copy(self)
        moved.images = self.images.to(device)
        if isinstance(self.preprocessing, nn.Module):
            moved.preprocessing = self.preprocessing.to(device)
        return moved

    def shared(self, rank: int, world_size: int) -> "DeviceLoader":
        """The batches of one of several processes that keep step, see `EpochOrder.shared`."""
        its_own = copy(self)
        its_own.order = self.order.shared(rank, world_size)
        return its_own

    def state_dict(self) -> dict[str, int]:
        """The seed, the epoch under way or to come, and how many of its batches were handed out."""
        return self.order.state_dict()

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Take up the state of another loader, made with the same arguments (but for the seed)."""
        self.order.load_state_dict(state)

    def _draw(self, place: Place) -> tuple[Tensor, Tensor]:
        drawn = self.images.subset(place.indices)
        pixels, labels = drawn.pixels, drawn.labels
        generator = torch.Generator(pixels.device).manual_seed(self.order.seed_of(place))
        if self.augmentation is not None:
            pixels = self.augmentation(pixels, generator=generator)
        inputs = self.preprocessing(pixels)
        return (inputs, labels) if self.mixing is None else self.mixing(inputs, labels, generator=generator)
