"""scikit-learn's digits, split anew for each seed: quick to learn, so that many networks can be compared."""

from dataclasses import dataclass

import torch
from sklearn.datasets import load_digits
from torch import Tensor

TRAINING_IMAGES = 1400


@dataclass(frozen=True)
class Digits:
    """Images (N, 1, 8, 8) in [0, 1] and labels: some to learn from, and the rest to judge by."""

    images: Tensor
    labels: Tensor
    judged_images: Tensor
    judged_labels: Tensor


def split_digits() -> Digits:
    """The 1,797 digits, split by torch's random numbers."""
    digits = load_digits()
    images = torch.tensor(digits.images / 16, dtype=torch.float32)[:, None]
    labels = torch.tensor(digits.target)
    learned, judged = torch.randperm(len(images)).split([TRAINING_IMAGES, len(images) - TRAINING_IMAGES])
    return Digits(images[learned], labels[learned], images[judged], labels[judged])
