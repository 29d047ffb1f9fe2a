"""Batches of images that never leave their device."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from conductance.data.augment import Augmentation
from conductance.data.images import Images
from conductance.data.mix import Mixing
from conductance.errors import InputError


class DeviceLoader:
    """Hands out one epoch of batches each time it is iterated over.

    Every random draw is seeded by the loader's seed and the place it is drawn for: the epoch for the order
    of the images, which all ranks share, and the epoch, the batch and the rank for what is drawn for the images. So
    the random state is three integers, and a loader that takes up a saved state, even in the middle
    of an epoch, goes on exactly as the saved one would have.

    Of each order, rank r of W takes every W-th image from the r-th on. Together the ranks see each image
    exactly once, but where the images do not divide evenly the last ranks get one fewer, and with it
    perhaps one batch fewer. Ranks that must keep step, as in training, need `drop_last`: it gives each
    the same number of batches, all full.

    Args:
        images: what to hand out; they stay on their device.
        batch_size: images in a batch, on this rank.
        preprocessing: makes the network's float input of a uint8 batch; it must be on the same device.
        augmentation: changes the uint8 batch before that; None leaves it as it is.
        mixing: mixes the network's inputs, and their labels, after that; None leaves them as they are.
        shuffle: whether each epoch has a new order, or all have that of `images`.
        seed: fixes every order and every augmentation; 0 or more.
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
        if batch_size < 1:
            raise InputError(f"batch_size must be 1 or more, not {batch_size}")
        if seed < 0:
            raise InputError(f"seed must be 0 or more, not {seed}")
        if not 0 <= rank < world_size:
            raise InputError(f"rank must be from 0 to world_size - 1 = {world_size - 1}, not {rank}")
        if drop_last and len(images) < batch_size * world_size:
            raise InputError(
                f"{len(images)} images fill no batch of {batch_size} on each of {world_size} ranks: "
                "choose a smaller batch_size, or drop_last=False"
            )
        self.images = images
        self.batch_size = batch_size
        self.preprocessing = preprocessing
        self.augmentation = augmentation
        self.mixing = mixing
        self.shuffle = shuffle
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.drop_last = drop_last
        self._epoch = 0
        self._batch = 0
        self._underway = False

    def __len__(self) -> int:
        """Batches in a whole epoch, on this rank."""
        if self.drop_last:
            return len(self.images) // self.world_size // self.batch_size
        images = len(range(self.rank, len(self.images), self.world_size))
        return -(-images // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Begin the next epoch or, after `load_state_dict`, go on with the one that was saved.

        Yields:
            The preprocessed images, float32 of shape (B, C, H, W), and their labels, int64 of shape (B,), or where
            images are mixed the shares of their classes, float32 of shape (B, K).
        """
        if self._underway:  # the epoch before was broken off
            self._epoch, self._batch = self._epoch + 1, 0
        self._underway = True
        epoch, order = self._epoch, self._order(self._epoch)
        for batch in range(self._batch, len(self)):
            self._batch = batch + 1
            yield self._draw(order, epoch, batch)
        self._epoch, self._batch, self._underway = epoch + 1, 0, False

    def state_dict(self) -> dict[str, int]:
        """The seed, the epoch under way or to come, and how many of its batches were handed out."""
        return {"seed": self.seed, "epoch": self._epoch, "batch": self._batch}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Take up the state of another loader, made with the same arguments (but for the seed)."""
        self.seed, self._epoch, self._batch = state["seed"], state["epoch"], state["batch"]
        self._underway = False

    def _order(self, epoch: int) -> Tensor:
        """The images' indices in this rank's order, on their device."""
        if self.shuffle:
            # Drawn on the CPU, so that the order is the same on every kind of device.
            generator = torch.Generator().manual_seed(self._seed_of(epoch))
            order = torch.randperm(len(self.images), generator=generator)
        else:
            order = torch.arange(len(self.images))
        return order[self.rank :: self.world_size].to(self.images.device)

    def _draw(self, order: Tensor, epoch: int, batch: int) -> tuple[Tensor, Tensor]:
        drawn = self.images.subset(order[batch * self.batch_size : (batch + 1) * self.batch_size])
        pixels, labels = drawn.pixels, drawn.labels
        generator = torch.Generator(pixels.device).manual_seed(self._seed_of(epoch, batch, self.rank))
        if self.augmentation is not None:
            pixels = self.augmentation(pixels, generator=generator)
        inputs = self.preprocessing(pixels)
        return (inputs, labels) if self.mixing is None else self.mixing(inputs, labels, generator=generator)

    def _seed_of(self, *place: int) -> int:
        """A seed for the draws of one place, unrelated to that of any other place."""
        return int(np.random.SeedSequence(self.seed, spawn_key=place).generate_state(1, np.uint64)[0])
