"""Reads IDX files, the format of MNIST and Fashion-MNIST."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from conductance.data.images import Images


def read_mnist(contents: Mapping[str, bytes]) -> tuple[Images, Images]:
    """The training and test images in the four files of MNIST or Fashion-MNIST."""
    return _images(contents, "train"), _images(contents, "t10k")


def read_idx(contents: bytes) -> Tensor:
    """The array in an IDX file of unsigned bytes, as uint8 in the shape that the file gives.

    The file's fourth byte is the number of dimensions; their sizes follow as big-endian 32-bit integers.
    """
    dimensions = contents[3]
    shape = np.frombuffer(contents, dtype=">u4", count=dimensions, offset=4)
    values = np.frombuffer(contents, dtype=np.uint8, offset=4 + 4 * dimensions)
    return torch.from_numpy(values.reshape(shape).copy())


def _images(contents: Mapping[str, bytes], part: str) -> Images:
    pixels = read_idx(contents[f"{part}-images-idx3-ubyte"])
    labels = read_idx(contents[f"{part}-labels-idx1-ubyte"])
    return Images(pixels.unsqueeze(1), labels.long())
