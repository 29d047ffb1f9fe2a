"""The order of examples: which of them make a batch, in which epoch, on which process."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from conductance.errors import InputError


class Place(NamedTuple):
    """One batch of one epoch.

    Attributes:
        epoch: counted from 0.
        batch: of this epoch and rank, counted from 0.
        indices: of its examples, int64 of shape (B,), on the CPU.
    """

    epoch: int
    batch: int
    indices: Tensor


class EpochOrder:
    """The indices of each batch: each iteration over it is one epoch.

    The order depends only on the seed and the number of the epoch. So its state is three integers, and an order that
    loads a saved state, even in the middle of an epoch, continues exactly as the saved one.

    Rank r of W takes every W-th example, from the r-th on. Together the ranks see each example exactly once. If the
    examples do not divide evenly, the last ranks have one example fewer, and maybe one batch fewer. Training needs the
    same number of batches on each rank: ``drop_last`` ensures it, and all batches are then full.

    Args:
        count: number of examples.
        batch_size: examples in a batch, on this rank.
        shuffle: whether each epoch has a new random order; otherwise the order is 0, 1, ...
        seed: of the order; 0 or more.
        rank: number of this process, from 0 to ``world_size`` - 1.
        world_size: number of processes that share the examples.
        drop_last: whether to leave out the examples that do not fill a batch on each rank.

    Raises:
        InputError: a number is out of range, or there would be no batch.
    """

    def __init__(
        self,
        count: int,
        batch_size: int,
        *,
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
        if drop_last and count < batch_size * world_size:
            raise InputError(
                f"{count} examples fill no batch of {batch_size} on each of {world_size} ranks: "
                "choose a smaller batch_size, or drop_last=False"
            )
        self.count = count
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.drop_last = drop_last
        self._epoch = 0
        self._batch = 0
        self._underway = False

    def shared(self, rank: int, world_size: int) -> "EpochOrder":
        """The same order for one of several processes, with the same number of batches on each.

        Raises:
            InputError: there are too few examples for one batch on each process.
        """
        return EpochOrder(
            self.count,
            self.batch_size,
            shuffle=self.shuffle,
            seed=self.seed,
            rank=rank,
            world_size=world_size,
            drop_last=True,
        )

    def __len__(self) -> int:
        """Batches in a whole epoch, on this rank."""
        if self.drop_last:
            return self.count // self.world_size // self.batch_size
        return -(-len(range(self.rank, self.count, self.world_size)) // self.batch_size)

    def __iter__(self) -> Iterator[Place]:
        """Begin the next epoch or, after `load_state_dict`, continue the saved one."""
        if self._underway:  # the last epoch was not finished
            self._epoch, self._batch = self._epoch + 1, 0
        self._underway = True
        epoch, order = self._epoch, self._order(self._epoch)
        for batch in range(self._batch, len(self)):
            self._batch = batch + 1
            yield self._place(epoch, batch, order)
        self._epoch, self._batch, self._underway = epoch + 1, 0, False

    def first(self) -> Place:
        """The first batch of the first epoch, without beginning an epoch."""
        return self._place(0, 0, self._order(0))

    def seed_of(self, place: Place) -> int:
        """A seed for the random numbers of one batch on this rank, independent of all others."""
        return self._seed(place.epoch, place.batch, self.rank)

    def state_dict(self) -> dict[str, int]:
        """The seed, the current or next epoch, and the number of its batches so far."""
        return {"seed": self.seed, "epoch": self._epoch, "batch": self._batch}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Continue from the state of an order with the same arguments (except the seed)."""
        self.seed, self._epoch, self._batch = state["seed"], state["epoch"], state["batch"]
        self._underway = False

    def _order(self, epoch: int) -> Tensor:
        """The examples of this rank, in order."""
        if not self.shuffle:
            return torch.arange(self.count)[self.rank :: self.world_size]
        # On the CPU, so that the order is the same on all devices.
        generator = torch.Generator().manual_seed(self._seed(epoch))
        return torch.randperm(self.count, generator=generator)[self.rank :: self.world_size]

    def _place(self, epoch: int, batch: int, order: Tensor) -> Place:
        return Place(epoch, batch, order[batch * self.batch_size : (batch + 1) * self.batch_size])

    def _seed(self, *place: int) -> int:
        return int(np.random.SeedSequence(self.seed, spawn_key=place).generate_state(1, np.uint64)[0])
