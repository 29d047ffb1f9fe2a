"""Batches of images that stay on their device."""

from collections.abc import Callable, Iterator
from copy import copy

import torch
from torch import Tensor, nn

from conductance.checked import checked
from conductance.data.augment import Augmentation
from conductance.data.images import Images
from conductance.data.mix import Mixing
from conductance.data.order import EpochOrder, Place, StandIn


class DeviceLoader:
    """Batches of images: each iteration over it is one epoch.

    All random numbers are derived from the seed of the loader. The order of the images depends on the epoch, and is the
    same on all ranks; augmentation and mixup depend on the epoch, the batch and the rank. So a loader that loads a
    saved state continues exactly as the saved one (`EpochOrder`).

    Args:
        images: the images; they stay on their device.
        batch_size: images in a batch, on this rank.
        preprocessing: converts uint8 images to the network's input; on the device of the images.
        augmentation: changes the uint8 images before that; None for none.
        mixing: mixes inputs and labels after that; None for none.
        shuffle: whether each epoch has a new random order; otherwise the order is that of `images`.
        seed: of the order, augmentation and mixup; 0 or more.
        rank: number of this process, from 0 to `world_size` - 1.
        world_size: number of processes that share the images.
        drop_last: whether to leave out the images that do not fill a batch on each rank.

    Raises:
        InputError: a number is out of range, or there would be no batch.
    """

    @checked
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
        """Begin the next epoch or, after `load_state_dict`, continue the saved one.

        Yields:
            The preprocessed images, float32 of shape (B, C, H, W), and their labels, int64 of shape (B,), or, of mixed
            images, the shares of the classes, float32 of shape (B, K).
        """
        return map(self._draw, self.order)

    def first(self) -> tuple[Tensor, Tensor]:
        """The first batch of the first epoch, without beginning an epoch."""
        return self._draw(self.order.first())

    def to(self, device: torch.device | str) -> "DeviceLoader":
        """The same batches on ``device``."""
        moved = copy(self)
        moved.images = self.images.to(device)
        if isinstance(self.preprocessing, nn.Module):
            moved.preprocessing = self.preprocessing.to(device)
        return moved

    def shared(self, rank: int, world_size: int, least: int = 0) -> "DeviceLoader":
        """The batches of one of several processes, see `EpochOrder.shared`.

        A process that has no image left in the last batch gets a `StandIn`.
        """
        its_own = copy(self)
        its_own.order = self.order.shared(rank, world_size, least)
        return its_own

    def alone(self) -> int:
        """Number of batches in an epoch if no other process had any of them."""
        return len(self.order.shared(0, 1))

    def state_dict(self) -> dict[str, int]:
        """The seed, the current or next epoch, the number of its batches so far, and the images in a batch."""
        return self.order.state_dict()

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Continue from the state of a loader with the same arguments, except the seed and the number of ranks."""
        self.order.load_state_dict(state)

    def _draw(self, place: Place) -> tuple[Tensor, Tensor]:
        drawn = self.images.subset(place.indices)
        pixels, labels = drawn.pixels, drawn.labels
        generator = torch.Generator(pixels.device).manual_seed(self.order.seed_of(place))
        if self.augmentation is not None:
            pixels = self.augmentation(pixels, generator=generator)
        inputs = self.preprocessing(pixels)
        batch = (inputs, labels) if self.mixing is None else self.mixing(inputs, labels, generator=generator)
        return StandIn(batch) if place.stands_in else batch
