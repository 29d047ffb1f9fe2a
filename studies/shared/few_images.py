"""A few images of a data set: some to learn from, some to choose by, some to judge by; the same for all networks."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from conductance.data import Images, load_dataset

VALIDATION, TEST = 1000, 2000


@dataclass(frozen=True)
class Part:
    """Images (N, C, H, W) in [0, 1], or what they were made into, and their labels."""

    inputs: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def first(self, number: int) -> "Part":
        """So many of them."""
        return Part(self.inputs[:number], self.labels[:number])


@dataclass(frozen=True)
class FewImages:
    """What one run sees.

    Attributes:
        learned: drawn from the training images by the seed.
        validation: other training images, the same for every seed.
        test: the first test images, the same for every seed.
    """

    learned: Part
    validation: Part
    test: Part

    def each(self, change: Callable[[Tensor], Tensor]) -> "FewImages":
        """The same samples with their inputs changed."""
        parts = (self.learned, self.validation, self.test)
        return FewImages(*(replace(part, inputs=change(part.inputs)) for part in parts))


def few_images(name: str, number: int, seed: int, data_dir: Path | None = None) -> FewImages:
    """So many images of a data set to learn from, drawn by the seed."""
    train, test = _read(name, data_dir)
    mixed = torch.randperm(len(train), generator=torch.Generator().manual_seed(0))
    kept, others = mixed[:VALIDATION], mixed[VALIDATION:]
    drawn = others[torch.randperm(len(others), generator=torch.Generator().manual_seed(seed))[:number]]
    return FewImages(_part(train.subset(drawn)), _part(train.subset(kept)), _part(test.subset(torch.arange(TEST))))


@lru_cache(maxsize=2)
def _read(name: str, data_dir: Path | None) -> tuple[Images, Images]:
    data = load_dataset(name, data_dir)
    return data.train, data.test


def _part(images: Images) -> Part:
    return Part(images.pixels.float() / 255, images.labels)
