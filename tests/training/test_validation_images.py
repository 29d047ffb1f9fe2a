"""Images to choose by: the same for every seed, and never trained on."""

from collections import Counter

import pytest

from conductance.data import Images, load_dataset
from conductance.training import trainer
from tiny_runs import run, tiny


def seen(images):
    return Counter(pixels.numpy().tobytes() for pixels in images.pixels)


@pytest.fixture
def spied(out, monkeypatch):
    """Which images a run trained on and which it evaluated on, by seed."""

    def start(seed):
        trained, evaluated = [], []
        train, evaluate = trainer.train_epoch, trainer.evaluate_batches

        def spy_on_training(its_trainer, *arguments):
            trained.append(its_trainer.data.train.images)
            return train(its_trainer, *arguments)

        def spy_on_evaluation(network, batches, *arguments):
            evaluated.append(batches.images)
            return evaluate(network, batches, *arguments)

        with monkeypatch.context() as patch:
            patch.setattr(trainer, "train_epoch", spy_on_training)
            patch.setattr(trainer, "evaluate_batches", spy_on_evaluation)
            run(tiny(seed=seed, epochs=1, data__validation_images=300), out / str(seed))
        assert len(trained) == 1
        return trained[0], evaluated

    return start


def test_they_are_the_same_for_every_seed_and_no_others_are_trained_on(spied):
    dataset = load_dataset("digits")
    held_out = []
    for seed in (0, 1):
        trained, evaluated = spied(seed)
        validation, test = evaluated
        assert seen(test) == seen(dataset.test)
        assert len(validation) == 300
        assert not seen(validation) & seen(trained)
        assert seen(validation) + seen(trained) == seen(dataset.train)
        held_out.append(seen(validation))
    assert held_out[0] == held_out[1]


def test_all_images_go_to_the_device_of_the_run(out, monkeypatch):
    moved, to = [], Images.to

    def spy(images, device):
        moved.append(len(images))
        return to(images, device)

    monkeypatch.setattr(Images, "to", spy)
    run(tiny(epochs=1, data__validation_images=97), out)
    assert sorted(moved) == [97, 500, 1200]


def test_without_any_there_is_no_validation_accuracy(out):
    assert run(tiny(epochs=1), out)["validation_accuracy"] is None
