"""The digits of scikit-learn."""

import numpy as np
import torch
from sklearn.datasets import load_digits

from conductance.data import load_dataset


def test_the_split_is_the_documented_permutation_of_the_real_digits():
    dataset, source = load_dataset("digits"), load_digits()
    order = np.random.RandomState(0).permutation(1797)
    assert np.array_equal(torch.cat([dataset.train.labels, dataset.test.labels]).numpy(), source.target[order])
    assert (len(dataset.train), len(dataset.test)) == (1297, 500)
    pixels = torch.cat([dataset.train.pixels, dataset.test.pixels]).squeeze(1).numpy()
    assert np.abs(pixels / 255 - source.images[order] / 16).max() <= 0.5 / 255 + 1e-12


def test_ink_fills_the_range_of_a_byte():
    pixels = load_dataset("digits").train.pixels
    assert pixels.dtype == torch.uint8
    assert pixels.shape[1:] == (1, 8, 8)
    assert (pixels.min(), pixels.max()) == (0, 255)
