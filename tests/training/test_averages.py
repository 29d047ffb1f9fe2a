"""All averages are means over examples, whatever the sizes of the batches they come in."""

import copy
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from conductance.runs import Run, load_run
from conductance.training import Trainer, TrainingConfig, evaluate
from tiny_runs import lines, run, tiny

GENERATOR = torch.Generator().manual_seed(0)
INPUTS = torch.rand(47, 5, generator=GENERATOR)
CLASSES = torch.randint(0, 3, (47,), generator=GENERATOR)
VALUES = torch.randn(47, 3, generator=GENERATOR)
LOSSES = {None: CLASSES, F.mse_loss: VALUES, nn.L1Loss(reduction="none"): VALUES}

sizes = st.lists(st.integers(1, 12), min_size=1, max_size=8).filter(lambda sizes: sum(sizes) <= 47)


def uneven(parts, targets):
    """A loader whose batches have these sizes."""
    bounds = torch.tensor([0, *parts]).cumsum(0).tolist()
    batches = [list(range(low, high)) for low, high in pairwise(bounds)]
    return DataLoader(TensorDataset(INPUTS, targets), batch_sampler=batches)


def trainer_of(data, *, step, accumulate=1, loss=None, **options):
    torch.manual_seed(0)
    config = TrainingConfig(epochs=1, batch_size=16, accumulate=accumulate)
    optimizer = lambda network: torch.optim.SGD(network.parameters(), step)  # noqa: E731
    options |= {"loss": loss, "optimizer": optimizer, "device": "cpu", "progress": False}
    return Trainer(nn.Linear(5, 3), data, config, **options)


@settings(max_examples=15)
@given(parts=sizes, accumulate=st.integers(1, 4), loss=st.sampled_from(list(LOSSES)))
def test_the_loss_of_an_epoch_and_of_an_evaluation_are_that_of_the_network_on_all_examples(parts, accumulate, loss):
    data = uneven(parts, LOSSES[loss])
    trainer = trainer_of(data, step=0.0, accumulate=accumulate, loss=loss, test=data)
    (epoch,) = trainer.fit()
    count = sum(parts)
    outputs, targets = trainer.network(INPUTS[:count]).detach(), LOSSES[loss][:count]
    expected = float((loss or F.cross_entropy)(outputs, targets).mean())
    assert epoch["train_loss"] == pytest.approx(expected, rel=1e-5)
    assert epoch["test_loss"] == pytest.approx(expected, rel=1e-5)
    assert trainer.evaluate((INPUTS[:count], targets))["loss"] == pytest.approx(expected, rel=1e-5)
    if loss is None:
        accuracy = 100 * float((outputs.argmax(1) == targets).float().mean())
        assert epoch["train_accuracy"] == pytest.approx(accuracy)
        assert epoch["test_accuracy"] == pytest.approx(accuracy)


@settings(max_examples=15)
@given(parts=sizes, loss=st.sampled_from(list(LOSSES)))
def test_a_step_of_several_batches_is_that_of_all_their_examples(parts, loss):
    count = sum(parts)
    together = trainer_of(uneven([count], LOSSES[loss]), step=1.0, loss=loss)
    apart = trainer_of(uneven(parts, LOSSES[loss]), step=1.0, accumulate=len(parts), loss=loss)
    together.fit(), apart.fit()
    assert apart.step == together.step == 1
    torch.testing.assert_close(dict(apart.network.state_dict()), dict(together.network.state_dict()))
    assert float(apart.step_loss) == pytest.approx(float(together.step_loss), rel=1e-5)


@settings(max_examples=15)
@given(batch_size=st.integers(1, 50), count=st.integers(1, 47))
def test_evaluation_does_not_depend_on_the_size_of_its_batches(batch_size, count):
    trainer = trainer_of((INPUTS, CLASSES), step=1.0)
    data = TensorDataset(INPUTS[:count], CLASSES[:count])
    whole, parts = (trainer.evaluate(DataLoader(data, size)) for size in (count, batch_size))
    assert parts == {name: pytest.approx(value, rel=1e-5) for name, value in whole.items()}


def test_the_last_step_of_an_epoch_is_not_made_larger_by_what_it_lacks():
    """47 examples in batches of 16: the last has 15, and a step of two has 15 of its 32."""
    trainer = trainer_of((INPUTS, CLASSES), step=0.1, accumulate=2)
    network = copy.deepcopy(trainer.network)
    order = torch.cat([place.indices for place in trainer.data.train.order])
    trainer.data.train.load_state_dict({"seed": 0, "epoch": 0, "batch": 0})
    trainer.fit()
    for rows in (order[:32], order[32:]):
        gradients = torch.autograd.grad(F.cross_entropy(network(INPUTS[rows]), CLASSES[rows]), network.parameters())
        with torch.no_grad():
            for parameter, gradient in zip(network.parameters(), gradients, strict=True):
                parameter -= 0.1 * gradient
    torch.testing.assert_close(dict(trainer.network.state_dict()), dict(network.state_dict()))


@pytest.mark.parametrize("batch_size", [1200, 1000, 431])
def test_a_run_that_stands_still_has_the_loss_of_its_network(batch_size, out):
    still = {"optimizer__learning_rate": 1e-12, "optimizer__readout_learning_rate": 1e-12, "optimizer__name": "adam"}
    run(tiny("affine", epochs=1, data__batch_size=batch_size, data__validation_images=100, **still), out)
    (metrics,) = lines(out)
    trained = load_run(out)
    loss, accuracy = evaluate(trained.network, trained.preprocessing, trained.dataset.test)
    assert metrics["test_loss"] == pytest.approx(loss, rel=1e-5)
    assert Run(out).summary["test_accuracy"] == accuracy
    count = len(trained.dataset.train)
    everything = evaluate(trained.network, trained.preprocessing, trained.dataset.train)[0] * count
    held_out = metrics["validation_loss"] * 100
    assert metrics["train_loss"] == pytest.approx((everything - held_out) / (count - 100), rel=1e-4)
