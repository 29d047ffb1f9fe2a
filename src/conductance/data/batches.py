"""Batches of any data: arrays, torch's data sets and loaders, images of this package."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence, Sized
from copy import copy
from itertools import islice
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset
from torch.utils.data import Dataset as TorchDataset

from conductance.data.images import Images
from conductance.data.loader import DeviceLoader
from conductance.data.order import EpochOrder, Place, StandIn
from conductance.errors import InputError
from conductance.nested import Nested, as_tensors, first_bad_row, length_of, take

Batch = tuple[Nested, Nested]
"""Inputs and targets of a network: each a tensor, or a tuple or dict of tensors. See also `StandIn`."""

ACCEPTED = (
    "give (inputs, targets) as numpy arrays or tensors, a torch Dataset or DataLoader, or the images that "
    "conductance.data loads"
)


class Batches(Protocol):
    """Batches of data: each iteration over it is one epoch."""

    def __len__(self) -> int:
        """Number of batches in an epoch."""
        ...

    def __iter__(self) -> Iterator[Batch]:
        """Begin the next epoch."""
        ...

    def alone(self) -> int:
        """Number of batches in an epoch if no other process had any of them."""
        ...

    def first(self) -> Batch | None:
        """The first batch, or None if it cannot be had without beginning an epoch."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """The state to resume from."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state."""
        ...


class ArrayBatches:
    """Batches of arrays in memory.

    Args:
        inputs: inputs of the network, with the examples along the first axis.
        targets: targets, likewise.
        order: the indices of each batch.
    """

    def __init__(self, inputs: Nested, targets: Nested, order: EpochOrder) -> None:
        self.inputs, self.targets, self.order = inputs, targets, order

    def __len__(self) -> int:
        return len(self.order)

    def __iter__(self) -> Iterator[Batch]:
        return map(self._take, self.order)

    def alone(self) -> int:
        """Number of batches in an epoch if no other process had any of them."""
        return len(self.order.shared(0, 1))

    def first(self) -> Batch:
        """The first batch of the first epoch, without beginning an epoch."""
        return self._take(self.order.first())

    def state_dict(self) -> dict[str, Any]:
        """The state of the order."""
        return self.order.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state."""
        self.order.load_state_dict(state)

    def first_bad_row(self) -> str:
        """The place of the first NaN or infinite value, in words; empty if there is none."""
        for name, values in (("inputs", self.inputs), ("targets", self.targets)):
            row = first_bad_row(values)
            if row is not None:
                return f"row {row} of the {name}"
        return ""

    def _take(self, place: Place) -> Batch:
        batch = take(self.inputs, place.indices), take(self.targets, place.indices)
        return StandIn(batch) if place.stands_in else batch


class LoaderBatches:
    """The batches of a torch `DataLoader`.

    Several processes take its batches in turn, so that an epoch has every batch once. A process that has none left
    gets its last one again, as a `StandIn`.

    Args:
        loader: its batches are ``(inputs, targets)``; the last part of a longer tuple is the targets.
        dtype: the type that floating-point numpy arrays are converted to.
        rank: number of this process.
        world_size: number of processes that share the batches.
        seed: of a sampler that shuffles and has no generator of its own, if the batches are shared.

    Raises:
        InputError: the loader has no length, or fewer batches than there are processes.
    """

    def __init__(
        self, loader: DataLoader[Any], dtype: torch.dtype, rank: int = 0, world_size: int = 1, seed: int = 0
    ) -> None:
        self.loader, self.dtype, self.rank, self.world_size = loader, dtype, rank, world_size
        try:
            self._batches = len(loader)
        except TypeError:
            raise InputError(
                "this DataLoader has no length, which the schedule of the learning rate needs; give its data set a "
                "__len__"
            ) from None
        if self._batches < world_size:
            raise InputError(
                f"the DataLoader has {self._batches} batches for {world_size} processes; make its batches smaller"
            )
        if world_size > 1 and getattr(loader.sampler, "generator", self) is None:  # torch's own differs by process
            loader.sampler.generator = torch.Generator().manual_seed(seed)  # type: ignore[attr-defined]

    def __len__(self) -> int:
        return -(-self._batches // self.world_size)

    def __iter__(self) -> Iterator[Batch]:
        for drawn in self._own():
            batch = split_batch(drawn, self.dtype)
            yield batch
        if 0 < self._batches % self.world_size <= self.rank:
            yield StandIn(batch)

    def _own(self) -> Iterator[Any]:
        """This process's batches. Those of others are not loaded, unless the data set knows no indices."""
        if self.world_size == 1:
            return iter(self.loader)
        if isinstance(self.loader.dataset, IterableDataset):
            return islice(self.loader, self.rank, None, self.world_size)
        its_own = copy(self.loader)
        name = "sampler" if its_own.batch_sampler is None else "batch_sampler"
        in_turn = _InTurn(getattr(its_own, name), self.rank, self.world_size)
        object.__setattr__(its_own, name, in_turn)  # torch refuses another sampler, but this is a copy
        return iter(its_own)

    def alone(self) -> int:
        """Number of batches in an epoch if no other process had any of them."""
        return self._batches

    def first(self) -> None:
        """None: reading a batch would start workers and advance generators."""

    def state_dict(self) -> dict[str, Any]:
        """The states of the loader's own generators. (Without one a loader uses torch's, which is saved anyway.)"""
        generators = [generator.get_state() for generator in self._generators()]
        return {"generators": generators, "processes": self.world_size}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state.

        Raises:
            ValueError: it was saved by another number of processes: steps would have other numbers of batches.
        """
        if state.get("processes", 1) != self.world_size:
            raise ValueError(
                f"its DataLoader was shared by {state.get('processes', 1)} processes, not {self.world_size}: resume it "
                "on as many, or give the data themselves, whose batches can be divided anew"
            )
        for generator, its_state in zip(self._generators(), state["generators"], strict=True):
            generator.set_state(its_state)

    def _generators(self) -> list[torch.Generator]:
        holders = (self.loader, self.loader.sampler, self.loader.batch_sampler)
        found = (getattr(holder, "generator", None) for holder in holders)
        return list(
            {id(generator): generator for generator in found if isinstance(generator, torch.Generator)}.values()
        )


class _InTurn:
    """Every ``world_size``-th of what a sampler gives, from the ``rank``-th on."""

    def __init__(self, sampler: Any, rank: int, world_size: int) -> None:
        self.sampler, self.rank, self.world_size = sampler, rank, world_size

    def __len__(self) -> int:
        return len(range(self.rank, len(self.sampler), self.world_size))

    def __iter__(self) -> Iterator[Any]:
        return islice(self.sampler, self.rank, None, self.world_size)


class _Indices:
    """An order in the form that torch's loaders take: lists of integers."""

    def __init__(self, order: EpochOrder) -> None:
        self.order = order
        self.stand_ins: deque[bool] = deque()
        """for each list that was given out and has not come back as a batch: whether it stands in"""

    def __len__(self) -> int:
        return len(self.order)

    def __iter__(self) -> Iterator[list[int]]:
        self.stand_ins.clear()
        for place in self.order:
            self.stand_ins.append(place.stands_in)
            yield place.indices.tolist()


class DatasetBatches(LoaderBatches):
    """Batches of a torch `Dataset` in an order of ours.

    Args:
        dataset: its examples are ``(inputs, targets)``, or longer tuples whose last part is the targets.
        dtype: as for `LoaderBatches`.
        order: the indices of each batch.
        workers: number of processes that load the examples; 0 to load them in this process.
    """

    def __init__(self, dataset: Any, dtype: torch.dtype, order: EpochOrder, workers: int) -> None:
        self.order, self._indices = order, _Indices(order)
        super().__init__(DataLoader(dataset, batch_sampler=self._indices, num_workers=workers), dtype)

    def __len__(self) -> int:
        return len(self.order)

    def __iter__(self) -> Iterator[Batch]:
        for batch in super().__iter__():
            yield StandIn(batch) if self._indices.stand_ins.popleft() else batch

    def alone(self) -> int:
        """Number of batches in an epoch if no other process had any of them."""
        return len(self.order.shared(0, 1))

    def state_dict(self) -> dict[str, Any]:
        """The states of the order and of torch's generators."""
        return {**super().state_dict(), "order": self.order.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state."""
        super().load_state_dict(state)
        self.order.load_state_dict(state["order"])


def as_batches(
    data: Any,
    order: Callable[[int], EpochOrder],
    *,
    preprocessing: Callable[[Tensor], Tensor],
    device: torch.device,
    dtype: torch.dtype = torch.float32,
    workers: int = 0,
    rank: int = 0,
    world_size: int = 1,
    seed: int = 0,
) -> Batches:
    """Batches of any data.

    Args:
        data: ``(inputs, targets)``, each a numpy array, a tensor, or a tuple or dict of these; a torch `Dataset` with
            a length; a `DataLoader`; `Images`; or a `DeviceLoader`.
        order: makes the order of a number of examples. Loaders have their own.
        preprocessing: converts `Images` to the network's input.
        device: the device to which `Images` are moved.
        dtype: the type that floating-point numpy arrays are converted to.
        workers: number of processes that load the examples of a `Dataset`.
        rank: number of this process, for a `DataLoader`, whose batches the processes take in turn.
        world_size: number of processes that share them.
        seed: as for `LoaderBatches`.

    Raises:
        InputError: anything else, or arrays that are empty or of different lengths.
    """
    if isinstance(data, DeviceLoader):
        return data
    if isinstance(data, Images):
        images = data.to(device)
        loader = DeviceLoader(images, 1, preprocessing=preprocessing, shuffle=False)
        loader.order = order(len(images))
        return loader
    if isinstance(data, DataLoader):
        return LoaderBatches(data, dtype, rank, world_size, seed)
    if isinstance(data, (tuple, list)):
        return _of_arrays(data, order, dtype)
    if _is_dataset(data):
        return DatasetBatches(data, dtype, order(len(data)), workers)
    if isinstance(data, IterableDataset):
        raise InputError("an IterableDataset has no length; wrap it in a DataLoader, and give it a __len__")
    raise InputError(f"a {type(data).__name__} cannot be used as data; {ACCEPTED}")


def _of_arrays(data: Sequence[Any], order: Callable[[int], EpochOrder], dtype: torch.dtype) -> ArrayBatches:
    if len(data) != 2:
        raise InputError(
            f"{len(data)} arrays where two are expected; several inputs go together: ((first, second), targets)"
        )
    inputs, targets = (as_tensors(part, dtype) for part in data)
    counts = {name: length_of(part, name) for name, part in (("inputs", inputs), ("targets", targets))}
    if counts["inputs"] != counts["targets"]:
        raise InputError(
            "there are {inputs} inputs and {targets} targets; each input needs one target".format(**counts)
        )
    if counts["inputs"] == 0:
        raise InputError("there are no examples; give at least one")
    return ArrayBatches(inputs, targets, order(counts["inputs"]))


def _is_dataset(data: Any) -> bool:
    if isinstance(data, (str, bytes, Mapping, np.ndarray, Tensor, IterableDataset)):
        return False
    return isinstance(data, Sized) and (isinstance(data, TorchDataset) or hasattr(data, "__getitem__"))


def split_batch(batch: Any, dtype: torch.dtype = torch.float32) -> Batch:
    """Split a batch of a loader into inputs and targets.

    Raises:
        InputError: it is not ``(inputs, targets)`` or ``(first, second, ..., targets)``.
    """
    if isinstance(batch, Mapping):
        raise InputError(
            f"a batch is a dict of {', '.join(map(str, batch))}; have the data set return (inputs, targets)"
        )
    if not isinstance(batch, (tuple, list)) or len(batch) < 2:
        raise InputError(f"a batch is a {type(batch).__name__}, not (inputs, targets)")
    *inputs, targets = (as_tensors(part, dtype) for part in batch)
    return (inputs[0] if len(inputs) == 1 else tuple(inputs)), targets
