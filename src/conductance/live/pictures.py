"""Real images to pick from on a page, with their classes."""

import gzip
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from conductance.data.idx import read_idx
from conductance.share.source import Source

MOST = 200
"""So many images a page has at most: a network is tested on them in a fraction of a second, whatever is done to it."""

SHIPPED = Path(__file__).parent / "images"
"""The first 200 test images of MNIST (LeCun, Cortes, Burges), as its own files hold them."""


@dataclass(frozen=True)
class Pictures:
    """Images of a page.

    Attributes:
        pixels: uint8 (N, C, H, W).
        labels: the class of each, (N,); None for random images.
        what: what they are, in a few words.
    """

    pixels: Tensor
    labels: Tensor | None
    what: str


def pictures(source: Source) -> Pictures:
    """The first test images of a network's data set; random ones where that is not here.

    Raises:
        SavedNetworkError: the network was saved without its preprocessing.
    """
    if source.dataset == "mnist":
        return _mnist()
    _, pixels = source.pixels()
    if source.labels is None:
        return Pictures(pixels[:MOST], None, "random images: the data set of this network is not here")
    return Pictures(pixels[:MOST], source.labels[:MOST], f"the first test images of {source.dataset}, unselected")


def _mnist() -> Pictures:
    pixels, labels = (read_idx(gzip.decompress((SHIPPED / f"{name}.gz").read_bytes())) for name in _FILES)
    return Pictures(
        pixels.unsqueeze(1),
        labels.long(),
        f"the first {len(labels)} test images of MNIST (Y. LeCun, C. Cortes, C. Burges; CC BY-SA 3.0), unselected",
    )


_FILES = ("t10k-first-200-images-idx3-ubyte", "t10k-first-200-labels-idx1-ubyte")
