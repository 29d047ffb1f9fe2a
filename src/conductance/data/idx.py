"""Reads IDX files, the format of MNIST and Fashion-MNIST."""

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from conductance.data.images import Images
from conductance.errors import DataError


def read_mnist(contents: Mapping[str, bytes]) -> tuple[Images, Images]:
    """The training and test images in the four files of MNIST or Fashion-MNIST."""
    return _images(contents, "train"), _images(contents, "t10k")


def read_idx(contents: bytes) -> Tensor:
    """The array in an IDX file of unsigned bytes, as uint8 in the shape that the file gives.

    The file's fourth byte is the number of dimensions; their sizes follow as big-endian 32-bit integers.

    Raises:
        DataError: the file is shorter or longer than these sizes say.
    """
    begin = 4 + 4 * (contents[3] if len(contents) > 3 else 0)
    shape = [int.from_bytes(contents[place : place + 4], "big") for place in range(4, begin, 4)]
    if len(contents) <= begin or len(contents) - begin != math.prod(shape):
        raise DataError(f"an IDX file of {len(contents):,} bytes does not hold an array of {shape}; replace it")
    return torch.from_numpy(np.frombuffer(contents, dtype=np.uint8, offset=begin).reshape(shape).copy())


def _images(contents: Mapping[str, bytes], part: str) -> Images:
    pixels = read_idx(contents[f"{part}-images-idx3-ubyte"])
    labels = read_idx(contents[f"{part}-labels-idx1-ubyte"])
    return Images(pixels.unsqueeze(1), labels.long())
