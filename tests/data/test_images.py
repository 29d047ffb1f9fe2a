"""Labelled images and their splits."""

import pytest
import torch

from conductance.data import Dataset, Images, split_validation
from conductance.errors import InputError


def numbered(count):
    """Images of one pixel, each filled with its own number, which is its label too."""
    numbers = torch.arange(count)
    return Images(numbers.to(torch.uint8).view(-1, 1, 1, 1), numbers)


@pytest.mark.parametrize(
    ("pixels", "labels", "complaint"),
    [
        (torch.zeros(2, 1, 3, 3), torch.zeros(2, dtype=torch.int64), "not float32 of shape"),
        (torch.zeros(2, 9, dtype=torch.uint8), torch.zeros(2, dtype=torch.int64), r"of shape \(2, 9\)"),
        (torch.zeros(2, 1, 3, 3, dtype=torch.uint8), torch.zeros(2), "labels must be int64"),
        (torch.zeros(2, 1, 3, 3, dtype=torch.uint8), torch.zeros(3, dtype=torch.int64), r"not int64 of shape \(3,\)"),
    ],
)
def test_what_are_not_labeled_images_is_refused(pixels, labels, complaint):
    with pytest.raises(InputError, match=complaint):
        Images(pixels, labels)


def test_a_subset_keeps_images_with_their_labels_in_the_order_asked_for():
    subset = numbered(9).subset(torch.tensor([7, 0, 7]))
    assert subset.labels.tolist() == subset.pixels.flatten().tolist() == [7, 0, 7]


def test_a_data_set_knows_its_shape_and_classes():
    images = Images(torch.zeros(4, 3, 5, 6, dtype=torch.uint8), torch.zeros(4, dtype=torch.int64))
    dataset = Dataset("tiny", images, images, ("cat", "dog"))
    assert dataset.input_shape == (3, 5, 6)
    assert dataset.num_classes == 2


def test_validation_takes_its_count_and_together_nothing_is_lost():
    train, validation = split_validation(numbered(50), 12, seed=3)
    assert (len(train), len(validation)) == (38, 12)
    assert sorted([*train.labels.tolist(), *validation.labels.tolist()]) == [*range(50)]
    assert torch.equal(train.pixels.flatten().long(), train.labels)


def test_validation_is_fixed_by_its_seed():
    first, again, other = (split_validation(numbered(50), 12, seed)[1].labels for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_count_of_zero_sets_nothing_aside():
    images = numbered(5)
    assert split_validation(images, 0, seed=0) == (images, None)


@pytest.mark.parametrize("count", [-1, 5, 6])
def test_validation_must_leave_something_to_train_on(count):
    with pytest.raises(InputError, match="from 0 to 4"):
        split_validation(numbered(5), count, seed=0)
