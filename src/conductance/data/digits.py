"""The 1,797 handwritten digits of scikit-learn, which need no download."""

import numpy as np
import torch

from conductance.data.images import Images
from conductance.extras import import_extra

TEST_COUNT = 500
FULL_INK = 16
"""The largest value of scikit-learn's pixels, which count the inked points of a 4 by 4 block."""


def load_digits() -> tuple[Images, Images]:
    """1,297 training and 500 test images of shape (1, 8, 8). The split is always the same.

    Raises:
        DataError: scikit-learn is not installed.
    """
    bunch = import_extra("sklearn.datasets", "for the data set 'digits'", "train").load_digits()
    pixels = np.rint(bunch.images * (255 / FULL_INK)).astype(np.uint8)
    digits = Images(torch.from_numpy(pixels).unsqueeze(1), torch.from_numpy(bunch.target).long())
    # numpy never changes the numbers of RandomState, so the split is part of the data set.
    order = torch.from_numpy(np.random.RandomState(0).permutation(len(digits)))
    return digits.subset(order[:-TEST_COUNT]), digits.subset(order[-TEST_COUNT:])
