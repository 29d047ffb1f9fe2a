"""The sums of an epoch."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from conductance.training.objective import Objective
from conductance.training.tally import Tally


@pytest.mark.parametrize("targets", [
    torch.tensor([0, 1, 2, 1]),
    torch.tensor([[0.6, 0.4, 0.0], [0.0, 1.0, 0.0], [0.2, 0.0, 0.8], [0.0, 0.7, 0.3]]),
], ids=["labels", "shares"])  # fmt: skip
def test_an_answer_is_right_if_it_is_the_class_with_the_largest_share(targets):
    assert Objective().correct(torch.eye(3)[[0, 1, 2, 2]], targets) == 3


def test_numbers_that_a_loss_of_ones_own_compares_are_no_classes():
    assert Objective(torch.nn.functional.mse_loss).correct(torch.eye(3), torch.eye(3)) is None


def test_answers_for_each_pixel_count_by_their_share():
    outputs = torch.eye(2)[torch.tensor([[0, 0], [1, 0]])].movedim(-1, 1)
    assert Objective().correct(outputs, torch.tensor([[0, 1], [1, 0]])) == 1.5


@pytest.mark.parametrize("targets", [torch.zeros(4), torch.zeros(4, 1), torch.zeros(4, 2).long()])
def test_what_is_no_class_has_no_right_answer(targets):
    assert Objective().correct(torch.zeros(4, 3), targets) is None


@given(batches=st.lists(st.lists(st.tuples(st.floats(-5, 5), st.booleans()), min_size=1, max_size=9), min_size=1))
def test_means_are_means_over_examples(batches):
    tally = Tally()
    for batch in batches:
        losses, right = (torch.tensor(part) for part in zip(*batch, strict=True))
        tally.add(losses.mean(), len(batch), right.sum())
    every = [example for batch in batches for example in batch]
    assert tally.loss() == pytest.approx(sum(loss for loss, _ in every) / len(every), rel=1e-5, abs=1e-5)
    assert tally.accuracy() == pytest.approx(100 * sum(right for _, right in every) / len(every))
    assert tally.first_bad_step() is None


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_the_first_bad_step_is_found(bad):
    tally = Tally()
    for loss in (1.0, 2.0, bad, 1.0, bad):
        tally.add(torch.tensor(loss), 3)
    assert tally.first_bad_step() == 3
    assert tally.accuracy() is None
