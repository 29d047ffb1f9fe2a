"""A run is decided by its config."""

import pytest
import torch

from conductance.runs import RunFolder
from conductance.training import trainer
from tiny_runs import lines, run, tiny, weights

AUGMENTED = {"data__augmentation": "shift_flip", "data__max_shift": 1}


@pytest.mark.parametrize(("family", "architecture"), [("cwa", "cnn"), ("affine_bn", "fcn")])
def test_the_same_seed_gives_the_same_numbers_and_another_others(family, architecture, tmp_path):
    first, again, other = (tmp_path / name for name in ("first", "again", "other"))
    for folder, seed in ((first, 0), (again, 0), (other, 1)):
        run(tiny(family, architecture, seed=seed, **AUGMENTED), folder)
    assert (lines(first), weights(first)) == (lines(again), weights(again))
    assert lines(first) != lines(other)


@pytest.mark.parametrize("family", ["cwa", "affine"])
def test_the_seed_decides_the_initial_weights(family, tmp_path):
    one_batch = {"data__batch_size": 1297, "epochs": 1}  # its order is of no account
    for seed in (0, 1):
        run(tiny(family, seed=seed, **one_batch), tmp_path / str(seed))
    first, second = (lines(tmp_path / str(seed))[0]["train_loss"] for seed in (0, 1))
    assert abs(first - second) > 1e-3


def test_the_seed_decides_order_and_augmentation(interrupted):
    assert RunFolder(interrupted(tiny(seed=7), epoch=2)).read_checkpoint()["loader"]["seed"] == 7


@pytest.mark.parametrize(
    "choice",
    [
        {"accumulate": 3},
        {"data__augmentation": "shift"},
        {"data__augmentation": "deform"},
        {"data__augmentation": "deform_flip"},
        {"data__max_mix": 0.5},
        {"data__validation_images": 50},
        {"data__batch_size": 64},
        {"optimizer__learning_rate": 0.02},
        {"optimizer__readout_learning_rate": 0.02},
        {"optimizer__betas": (0.5, 0.9)},
        {"optimizer__label_smoothing": 0.1},
        {"protocol__warmup": 0.9},
        {"protocol__name": "paper"},
        {"precision": "bf16"},
        {"conductance__nonnegative": "softplus"},
        {"conductance__initialization": "glorot"},
        {"conductance__initialization": "exponential"},
        {"conductance__sigma": 0.5},
        {"conductance__twin": False},
        {"conductance__balance": False},
        {"conductance__excitatory_share": 0.75},
        {"conductance__resting_conductance": 2.0},
        {"conductance__resting_potential": -0.5},
        {"conductance__learn_resting": True},
        {"model__family": "absnorm"},
        {"model__widths": (8, 9)},
        {"model__dropout": 0.2},
    ],
    ids=lambda choice: " ".join(f"{name}={value}" for name, value in choice.items()),
)
def test_every_choice_makes_a_difference(choice, reference, out):
    run(tiny(epochs=1, **choice), out)
    assert lines(out)[0]["test_loss"] != lines(reference)[0]["test_loss"]


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reference") / "run"
    run(tiny(epochs=1), folder)
    return folder


@pytest.mark.parametrize("optimizer", ["muon", "adam"])
def test_channels_last_as_on_a_gpu_changes_nothing_but_rounding(optimizer, tmp_path, monkeypatch):
    def losses(name):
        config = tiny("cwa", "cnn", optimizer__name=optimizer, epochs=1)
        run(config, tmp_path / name)
        return [line["train_loss"] for line in lines(tmp_path / name)]

    contiguous = losses("contiguous")
    monkeypatch.setattr(trainer, "memory_format", lambda _: torch.channels_last)
    assert losses("channels_last") == pytest.approx(contiguous, rel=1e-3)
