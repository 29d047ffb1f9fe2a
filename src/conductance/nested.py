"""Tensors, and tuples and dicts of tensors: the inputs, outputs and targets of networks."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from conductance.errors import InputError

Nested = Any
"""A tensor, or a tuple or a dict of these."""

_PARTS = (Tensor, np.ndarray, Mapping, tuple)
_SMALL_INTEGERS = (torch.int8, torch.int16, torch.int32, torch.uint16, torch.uint32)


def as_tensors(values: Any, dtype: torch.dtype = torch.float32) -> Nested:
    """Convert arrays and lists of numbers to tensors, sharing memory if possible.

    Floating-point arrays are converted to ``dtype``; tensors keep their type. Integers are converted to int64, which
    torch's losses and embeddings need; uint8 is kept.

    Raises:
        InputError: values that are not numbers.
    """
    if isinstance(values, Tensor):
        return values.long() if values.dtype in _SMALL_INTEGERS else values
    if isinstance(values, Mapping):
        return {name: as_tensors(part, dtype) for name, part in values.items()}
    if isinstance(values, (tuple, list)) and any(isinstance(part, _PARTS) for part in values):
        return tuple(as_tensors(part, dtype) for part in values)
    return _as_tensor(values, dtype)


def _as_tensor(values: Any, dtype: torch.dtype) -> Tensor:
    try:
        array = np.asarray(values)
    except ValueError as error:  # rows of different lengths
        raise InputError(f"a {type(values).__name__} cannot be made an array: {error}") from None
    if array.dtype.kind not in "fiub":
        raise InputError(
            f"a {type(values).__name__} of {array.dtype} cannot be a network's data; give numbers, as a numpy array or "
            "a tensor"
        )
    if array.dtype.kind == "f":
        array = array.astype(np.float64 if array.itemsize > 4 else np.float32, copy=False)
        return _shared(array).to(dtype)
    if array.dtype.kind != "b" and array.dtype != np.uint8:
        array = array.astype(np.int64, copy=False)
    return _shared(array)


def _shared(array: np.ndarray) -> Tensor:
    """As a tensor with the same memory, or a copy of what torch does not support: read-only and reversed arrays."""
    contiguous = np.ascontiguousarray(array).reshape(array.shape)
    return torch.from_numpy(contiguous if contiguous.flags.writeable else contiguous.copy())


def tensors_of(values: Nested) -> Iterator[Tensor]:
    """All tensors in it."""
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, Mapping):
        for part in values.values():
            yield from tensors_of(part)
    elif isinstance(values, (tuple, list)):
        for part in values:
            yield from tensors_of(part)


def map_tensors(function: Callable[[Tensor], Tensor], values: Nested) -> Nested:
    """Replace every tensor by a function of it."""
    if isinstance(values, Tensor):
        return function(values)
    if isinstance(values, Mapping):
        return {name: map_tensors(function, part) for name, part in values.items()}
    if isinstance(values, (tuple, list)):
        return tuple(map_tensors(function, part) for part in values)
    return values


def to_device(values: Nested, device: torch.device) -> Nested:
    """Move all tensors to a device."""
    return map_tensors(lambda tensor: tensor.to(device, non_blocking=True), values)


def take(values: Nested, indices: Tensor) -> Nested:
    """The examples at these indices."""
    return map_tensors(lambda tensor: tensor.index_select(0, indices.to(tensor.device)), values)


def concatenate(parts: Sequence[Nested]) -> Nested:
    """Join batches of outputs, which have the same structure, along the first axis."""
    first = parts[0]
    if isinstance(first, Tensor):
        return torch.cat(list(parts))
    if isinstance(first, Mapping):
        return {name: concatenate([part[name] for part in parts]) for name in first}
    return tuple(concatenate(pieces) for pieces in zip(*parts, strict=True))


def length_of(values: Nested, name: str) -> int:
    """Number of examples, along the first axis of every tensor.

    Raises:
        InputError: a tensor has no axes, or lengths differ.
    """
    shapes = [tuple(tensor.shape) for tensor in tensors_of(values)]
    if not shapes or any(len(shape) == 0 for shape in shapes):
        raise InputError(f"{name} must have one entry for each example along their first axis")
    lengths = {shape[0] for shape in shapes}
    if len(lengths) > 1:
        raise InputError(f"{name} of shapes {', '.join(map(str, shapes))} have different numbers of examples")
    return lengths.pop()


def described(values: Nested) -> str:
    """Types and shapes, for error messages."""
    return ", ".join(
        f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}" for tensor in tensors_of(values)
    )


def all_finite(*values: Nested) -> Tensor:
    """Whether no floating-point value is NaN or infinite, as a tensor, so that the device is not waited for."""
    checks = [tensor.isfinite().all() for tensor in tensors_of(values) if tensor.is_floating_point()]
    return torch.stack(checks).all() if checks else torch.tensor(True)


def first_bad_row(values: Nested) -> int | None:
    """Index of the first example with NaN or an infinite value; None if there is none."""
    rows = []
    for tensor in tensors_of(values):
        bad = (~tensor.isfinite()).reshape(len(tensor), -1).any(1).nonzero()
        rows += bad[:1].flatten().tolist()
    return min(rows, default=None)
