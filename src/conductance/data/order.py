"""In which order examples are seen: which of them make a batch, in which epoch, on which process."""

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
    """The batches of one epoch each time it is iterated over.

    The order is drawn from the seed and the number of the epoch, so its whole state is three integers, and an order
    that takes up a saved state, even in the middle of an epoch, goes on exactly as the saved one would have.

    Of each order, rank r of W takes every W-th example from the r-th on. Together the ranks see each example exactly
    once, but where the examples do not divide evenly the last ranks get one fewer, and with it perhaps one batch fewer.
    Ranks that must keep step, as in training, need ``drop_last``: it gives each the same number of batches, all full.

    Args:
        count: how many examples there are.
        batch_size: examples in a batch, on this rank.
        shuffle: whether each epoch has a new order, or all have the order 0, 1, ...
        seed: decides every order; 0 or more.
        rank: which of ``world_size`` processes this one is, from 0.
        world_size: how many processes share the examples.
        drop_last: whether to leave out examples that fill no batch on every rank.

    Raises:
        InputError: a number is out of its range, or no batch would be handed out.
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
        """The same order for one of several processes that keep step.

        Raises:
            InputError: there are too few examples for a batch on each of them.
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
        """Begin the next epoch or, after `load_state_dict`, go on with the one that was saved."""
        if self._underway:  # the epoch before was broken off
            self._epoch, self._batch = self._epoch + 1, 0
        self._underway = True
        epoch, order = self._epoch, self._order(self._epoch)
        for batch in range(self._batch, len(self)):
            self._batch = batch + 1
            yield self._place(epoch, batch, order)
        self._epoch, self._batch, self._underway = epoch + 1, 0, False

    def first(self) -> Place:
        """The first batch of the first epoch; the next epoch stays the next."""
        return self._place(0, 0, self._order(0))

    def seed_of(self, place: Place) -> int:
        """A seed for what is drawn for one batch on this rank, unrelated to that of any other."""
        return self._seed(place.epoch, place.batch, self.rank)

    def state_dict(self) -> dict[str, int]:
        """The seed, the epoch under way or to come, and how many of its batches were handed out."""
        return {"seed": self.seed, "epoch": self._epoch, "batch": self._batch}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Take up the state of another order, made with the same arguments (but for the seed)."""
        self.seed, self._epoch, self._batch = state["seed"], state["epoch"], state["batch"]
        self._underway = False

    def _order(self, epoch: int) -> Tensor:
        """The examples of this rank."""
        if not self.shuffle:
            return torch.arange(self.count)[self.rank :: self.world_size]
        # Drawn on the CPU, so that the order is the same on every kind of device.
        generator = torch.Generator().manual_seed(self._seed(epoch))
        return torch.randperm(self.count, generator=generator)[self.rank :: self.world_size]

    def _place(self, epoch: int, batch: int, order: Tensor) -> Place:
        return Place(epoch, batch, order[batch * self.batch_size : (batch + 1) * self.batch_size])

    def _seed(self, *place: int) -> int:
        return int(np.random.SeedSequence(self.seed, spawn_key=place).generate_state(1, np.uint64)[0])
