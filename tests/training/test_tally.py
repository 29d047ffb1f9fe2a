"""The sums of an epoch."""

import pytest
import torch

from conductance.training.tally import Tally


@pytest.mark.parametrize("labels", [
    torch.tensor([0, 1, 2, 1]),
    torch.tensor([[0.6, 0.4, 0.0], [0.0, 1.0, 0.0], [0.2, 0.0, 0.8], [0.0, 0.7, 0.3]]),
], ids=["labels", "shares"])  # fmt: skip
def test_an_answer_is_right_if_it_is_the_class_with_the_largest_share(labels):
    tally = Tally.of(2, torch.device("cpu"))
    logits = torch.eye(3)[[0, 1, 2, 2]]
    tally.add(torch.tensor(1.0), logits, labels)
    tally.add(torch.tensor(3.0), logits, labels)
    assert tally.loss() == 2
    assert tally.accuracy() == 75
    assert tally.first_bad_step() is None
