"""Batches of any data: arrays, torch's data sets and loaders, images of this package."""

from collections.abc import Callable, Iterator, Mapping, Sequence, Sized
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset
from torch.utils.data import Dataset as TorchDataset

from conductance.data.images import Images
from conductance.data.loader import DeviceLoader
from conductance.data.order import EpochOrder
from conductance.errors import InputError
from conductance.nested import Nested, as_tensors, first_bad_row, length_of, take

Batch = tuple[Nested, Nested]
"""Inputs and targets of a network: each a tensor, or a tuple or dict of tensors."""

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
        return (self._take(place.indices) for place in self.order)

    def first(self) -> Batch:
        """The first batch of the first epoch, without beginning an epoch."""
        return self._take(self.order.first().indices)

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

    def _take(self, indices: Tensor) -> Batch:
        return take(self.inputs, indices), take(self.targets, indices)


class LoaderBatches:
    """The batches of a torch `DataLoader`.

    Args:
        loader: its batches are ``(inputs, targets)``; the last part of a longer tuple is the targets.
        dtype: the type that floating-point numpy arrays are converted to.
        order: the order that the loader follows, if it is ours.

    Raises:
        InputError: the loader has no length.
    """

    def __init__(self, loader: DataLoader[Any], dtype: torch.dtype, order: EpochOrder | None = None) -> None:
        self.loader, self.dtype, self.order = loader, dtype, order
        try:
            self._length = len(loader)
        except TypeError:
            raise InputError(
                "this DataLoader has no length, which the schedule of the learning rate needs; give its data set a "
                "__len__"
            ) from None

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Batch]:
        return (split_batch(batch, self.dtype) for batch in self.loader)

    def first(self) -> None:
        """None: reading a batch would start workers and advance generators."""

    def state_dict(self) -> dict[str, Any]:
        """The states of the loader's own generators. (Without one a loader uses torch's, which is saved anyway.)"""
        state: dict[str, Any] = {"generators": [generator.get_state() for generator in self._generators()]}
        return state if self.order is None else {**state, "order": self.order.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state."""
        for generator, its_state in zip(self._generators(), state["generators"], strict=True):
            generator.set_state(its_state)
        if self.order is not None:
            self.order.load_state_dict(state["order"])

    def _generators(self) -> list[torch.Generator]:
        holders = (self.loader, self.loader.sampler, self.loader.batch_sampler)
        found = (getattr(holder, "generator", None) for holder in holders)
        return list(
            {id(generator): generator for generator in found if isinstance(generator, torch.Generator)}.values()
        )


class _IndexBatches:
    """An order in the form that torch's loaders take: lists of integers."""

    def __init__(self, order: EpochOrder) -> None:
        self.order = order

    def __len__(self) -> int:
        return len(self.order)

    def __iter__(self) -> Iterator[list[int]]:
        return (place.indices.tolist() for place in self.order)


def as_batches(
    data: Any,
    order: Callable[[int], EpochOrder],
    *,
    preprocessing: Callable[[Tensor], Tensor],
    device: torch.device,
    dtype: torch.dtype = torch.float32,
    workers: int = 0,
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
        return LoaderBatches(data, dtype)
    if isinstance(data, (tuple, list)):
        return _of_arrays(data, order, dtype)
    if _is_dataset(data):
        its_order = order(len(data))
        torch_loader: DataLoader[Any] = DataLoader(data, batch_sampler=_IndexBatches(its_order), num_workers=workers)
        return LoaderBatches(torch_loader, dtype, its_order)
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
