"""Reads the batches of CIFAR-10 and CIFAR-100: pickles, of which no code is ever executed."""

import io
import pickle
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from conductance.data.images import Images
from conductance.errors import DataError

TRAINING_BATCHES = tuple(f"data_batch_{number}" for number in range(1, 6))
TEST_BATCH = "test_batch"
IMAGE_SHAPE = (3, 32, 32)


def read_cifar10(contents: Mapping[str, bytes]) -> tuple[Images, Images]:
    """The training and the test images in CIFAR-10's six batches.

    Raises:
        DataError: a batch holds anything but plain values and an array of bytes.
    """
    return _images([contents[name] for name in TRAINING_BATCHES]), _images([contents[TEST_BATCH]])


def read_cifar100(contents: Mapping[str, bytes]) -> tuple[Images, Images]:
    """The training and the test images in CIFAR-100's two batches, with their 100 "fine" labels.

    Raises:
        DataError: a batch holds anything but plain values and an array of bytes.
    """
    return _images([contents["train"]], b"fine_labels"), _images([contents["test"]], b"fine_labels")


def read_batch(contents: bytes) -> dict[bytes, Any]:
    """The dictionary in one batch; b"data" is uint8 of shape (N, 3072), b"labels" a list of N integers.

    In CIFAR-100 the labels are b"fine_labels" (100 classes) and b"coarse_labels" (20).

    Raises:
        DataError: the pickle holds anything but plain values and an array of bytes.
    """
    batch = _Unpickler(io.BytesIO(contents), encoding="bytes").load()
    return {key: value.array if isinstance(value, _Array) else value for key, value in batch.items()}


def _images(batches: list[bytes], name: bytes = b"labels") -> Images:
    read = [read_batch(batch) for batch in batches]
    pixels = np.concatenate([batch[b"data"] for batch in read]).reshape(-1, *IMAGE_SHAPE)
    labels = [label for batch in read for label in batch[name]]
    return Images(torch.from_numpy(pixels), torch.tensor(labels))


class _Array:
    """Stands in for numpy's array: accepts the state of a pickled array of bytes."""

    array: np.ndarray

    def __init__(self, *_: object) -> None:
        """Called in place of `_reconstruct`, which makes an empty array that is filled later."""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _version, shape, _dtype, column_major, values = state
        self.array = np.frombuffer(values, dtype=np.uint8).reshape(shape, order="F" if column_major else "C")


class _ByteType:
    """Stands in for numpy's dtype: accepts unsigned bytes only, as batches hold no others."""

    def __init__(self, code: bytes, *_: object) -> None:
        if code != b"u1":
            raise DataError(f"a CIFAR batch holds an array of {code!r}, not of unsigned bytes (b'u1')")

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """Ignores byte order and alignment, which do not matter for single bytes."""


STAND_INS: dict[tuple[str, str], type] = {
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _ByteType,
}


class _Unpickler(pickle.Unpickler):
    """Provides harmless stand-ins for the three names that a batch needs, and refuses all others."""

    def find_class(self, module: str, name: str) -> type:
        """The stand-in for `module.name`.

        Raises:
            DataError: there is none.
        """
        try:
            return STAND_INS[module, name]
        except KeyError:
            raise DataError(
                f"a CIFAR batch asks for {module}.{name}, which no published batch does; nothing was run. "
                "Replace the file with the published one"
            ) from None
