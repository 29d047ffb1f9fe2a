"""The order of examples: which of them make a batch, in which epoch, on which process."""

from collections.abc import Iterator
from typing import Any, NamedTuple

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
        stands_in: whether the example is another rank's, because this rank has none left in an even order.
    """

    epoch: int
    batch: int
    indices: Tensor
    stands_in: bool = False


class StandIn(tuple[Any, ...]):
    """A batch ``(inputs, targets)`` of another rank's example, for a rank that has none left.

    It is computed with, because the processes of a training take every step together, and it does not count.
    """


class EpochOrder:
    """The indices of each batch: each iteration over it is one epoch.

    The order depends only on the seed and the number of the epoch. So its state is a few integers, and an order that
    loads a saved state, even in the middle of an epoch, continues exactly as the saved one, on any number of ranks.

    The ranks share each batch: rank r of W takes every W-th of its examples, from the r-th on. Together they see each
    example exactly once, and each batch is the one that a single rank would have. In the last batch of an epoch the
    last ranks may have one example fewer, or none.

    Args:
        count: number of examples.
        batch_size: examples in a batch, on this rank.
        shuffle: whether each epoch has a new random order; otherwise the order is 0, 1, ...
        seed: of the order; 0 or more.
        rank: number of this process, from 0 to ``world_size`` - 1.
        world_size: number of processes that share the examples.
        drop_last: whether to leave out the examples that do not fill a batch on each rank.
        least: examples that each rank needs in a batch: a last batch in which one has fewer is left out.
        even: whether all ranks have the same number of batches, as training needs: a rank that has no example left gets
            one of another rank, and `Place.stands_in` says so.

    Attributes:
        together: examples in a batch, on all ranks together. It is part of the state, so that a run that continues on
            another number of ranks has the same batches.

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
        least: int = 0,
        even: bool = False,
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
        self.together = batch_size * world_size
        self.shuffle = shuffle
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.drop_last = drop_last
        self.least = least
        self.even = even
        self._epoch = 0
        self._batch = 0
        self._underway = False
        self._check_length()

    def _check_length(self) -> None:
        if self.even and len(self) == 0:
            raise InputError(
                f"{self.count} examples make no batch: each of {self.world_size} processes needs {max(1, self.least)} "
                "in a batch; give more"
            )

    def shared(self, rank: int, world_size: int, least: int = 0) -> "EpochOrder":
        """The same order for one of several processes, with the same number of batches on each.

        Args:
            rank: number of the process.
            world_size: number of processes. Together they have so many times larger batches.
            least: as for the class.
        """
        return EpochOrder(
            self.count,
            self.together // self.world_size,
            shuffle=self.shuffle,
            seed=self.seed,
            rank=rank,
            world_size=world_size,
            drop_last=self.drop_last,
            least=max(least, self.least),
            even=True,
        )

    def __len__(self) -> int:
        """Batches in a whole epoch, on this rank."""
        full, rest = divmod(self.count, self.together)
        needed = self.together if self.drop_last else self.least * self.world_size
        has_part = rest > 0 and (self.even or rest > self.rank)
        return full + (has_part and rest >= needed)

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
        """A seed for the random numbers of one batch on this rank, independent of those of all other places."""
        return self._seed(place.epoch, place.batch, self.rank)

    def state_dict(self) -> dict[str, int]:
        """The seed, the current or next epoch, the number of its batches so far, and the examples in a batch."""
        return {"seed": self.seed, "epoch": self._epoch, "batch": self._batch, "together": self.together}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Continue from the state of an order with the same arguments, except the seed and the number of ranks."""
        self.seed, self._epoch, self._batch = state["seed"], state["epoch"], state["batch"]
        self.together = state.get("together", self.together)  # version 0.1 had no such entry
        self._check_length()
        self._underway = False

    def _order(self, epoch: int) -> Tensor:
        """The examples of all ranks, in order."""
        if not self.shuffle:
            return torch.arange(self.count)
        # On the CPU, so that the order is the same on all devices.
        generator = torch.Generator().manual_seed(self._seed(epoch))
        return torch.randperm(self.count, generator=generator)

    def _place(self, epoch: int, batch: int, order: Tensor) -> Place:
        of_all = order[batch * self.together : (batch + 1) * self.together]
        own = of_all[self.rank :: self.world_size]
        return Place(epoch, batch, own) if len(own) else Place(epoch, batch, of_all[:1], stands_in=True)

    def _seed(self, *place: int) -> int:
        return int(np.random.SeedSequence(self.seed, spawn_key=place).generate_state(1, np.uint64)[0])
