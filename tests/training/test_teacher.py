"""Distillation: what a network learns of a teacher's answers."""

import json

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax

from conductance.data import Preprocessing, load_dataset, mix
from conductance.errors import InputError, RunError
from conductance.runs import load_run
from conductance.training.teacher import Teacher
from tiny_runs import lines, run, tiny, weights

HELD_OUT = 97  # as of the finished runs


def taught(teacher, **choices):
    """A tiny network that a finished run teaches."""
    choices = {"data__preprocessing": "unit", "data__validation_images": HELD_OUT, **choices}
    return tiny(teacher__run=str(teacher), **choices)


def teacher_of(config):
    dataset = load_dataset("digits")
    return Teacher(config, dataset, Preprocessing.fit(config.data.preprocessing, dataset.train.pixels)), dataset


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_the_loss_is_the_one_that_was_promised(temperature, finished):
    config = taught(finished / "affine", teacher__share=0.7, teacher__temperature=temperature)
    teacher, dataset = teacher_of(config)
    inputs = dataset.test.pixels[:20].float() / 255
    learnt = torch.randn(20, 10)
    t, s = teacher.logits(inputs).double().numpy() / temperature, learnt.double().numpy() / temperature
    distance = (softmax(t, 1) * (log_softmax(t, 1) - log_softmax(s, 1))).sum(1).mean()
    loss = teacher.loss(inputs, learnt, torch.tensor(2.0))
    np.testing.assert_allclose(loss, 0.3 * 2 + 0.7 * temperature**2 * distance, rtol=1e-5)


@pytest.mark.parametrize(("family", "preprocessing"), [
    ("cwa", "unit"), ("affine_bn", "unit"), ("affine_bn", "whitened"), ("cwa", "whitened"), ("cwa", "scaled"),
])  # fmt: skip
def test_the_teacher_sees_what_the_network_sees_as_it_was_trained_to(family, preprocessing, finished):
    network = "affine_bn" if preprocessing == "whitened" else "cwa"
    teacher, dataset = teacher_of(taught(finished / family, family=network, data__preprocessing=preprocessing))
    pixels = dataset.test.pixels[:50]
    inputs = Preprocessing.fit(preprocessing, dataset.train.pixels)(pixels)
    alone = load_run(finished / family)
    expected = alone.network(alone.preprocessing(pixels)).detach()
    torch.testing.assert_close(teacher.logits(inputs), expected, rtol=1e-4, atol=1e-4)


def test_the_teacher_of_a_mixed_image_sees_the_mixture(finished):
    teacher, dataset = teacher_of(taught(finished / "affine_bn"))
    images = dataset.test.subset(torch.arange(8))
    mixed, _ = mix(images.pixels.float() / 255, images.labels, 10)
    alone = load_run(finished / "affine_bn")
    expected = alone.network(alone.preprocessing.scale * mixed * 255 + alone.preprocessing.shift).detach()
    torch.testing.assert_close(teacher.logits(mixed), expected, rtol=1e-4, atol=1e-4)


def test_a_teacher_without_a_share_changes_nothing(finished, tmp_path):
    config = taught(finished / "affine", teacher__share=0.0)
    run(config, tmp_path / "taught")
    run(tiny(data__preprocessing="unit", data__validation_images=HELD_OUT), tmp_path / "untaught")
    assert weights(tmp_path / "taught") == weights(tmp_path / "untaught")


@pytest.mark.parametrize("choices", [{}, {"data__max_mix": 0.5}, {"precision": "bf16"}], ids=str)
def test_a_taught_run_comes_nearer_to_its_teacher_and_resumes(choices, finished, interrupted, tmp_path):
    config = taught(finished / "affine", epochs=4, teacher__share=1.0, **choices)
    folder = interrupted(config, epoch=3)
    run(config, folder, resume=True)
    run(config, tmp_path / "uninterrupted")
    assert lines(folder) == lines(tmp_path / "uninterrupted")
    assert weights(folder) == weights(tmp_path / "uninterrupted")
    distances = [line["train_loss"] for line in lines(folder)]
    assert distances[-1] < 0.7 * distances[0]


def test_a_run_remembers_its_teacher(finished, tmp_path):
    run(taught(finished / "affine"), tmp_path / "run")
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    teacher = json.loads((finished / "affine" / "summary.json").read_text())
    assert summary["teacher"]["test_accuracy"] == teacher["test_accuracy"]
    assert summary["teacher"]["name"] == teacher["name"] == "tiny"
    run(tiny(), tmp_path / "untaught")
    assert json.loads((tmp_path / "untaught" / "summary.json").read_text())["teacher"] is None


@pytest.mark.parametrize(("choices", "complaint"), [
    ({"data__dataset": "mnist"}, "was trained on digits, not mnist"),
    ({"data__validation_images": 100}, "images that this run holds out; .*--data.validation-images 100"),
    ({"data__preprocessing": "scaled"}, "needs dark pixels.*--data.preprocessing unit"),
])  # fmt: skip
def test_a_teacher_that_does_not_fit_is_refused(choices, complaint, finished, out, monkeypatch):
    digits = load_dataset("digits")
    monkeypatch.setattr("conductance.training.run.load_dataset", lambda *_, **__: digits)
    with pytest.raises(InputError, match=f"teacher.run=.*{complaint}"):
        run(taught(finished / "affine_bn", **choices), out)
    assert not out.exists()


def test_a_folder_without_a_finished_run_is_no_teacher(out, tmp_path):
    with pytest.raises(RunError, match=r"nowhere holds no config\.json"):
        run(taught(tmp_path / "nowhere"), out)
    assert not out.exists()


@pytest.mark.parametrize(("choices", "named"), [
    ({"teacher__share": 1.5}, r"teacher.share=1.5: must lie in \[0, 1\]"),
    ({"teacher__temperature": 0.0}, "teacher.temperature=0.0: must be positive"),
])  # fmt: skip
def test_values_that_make_no_sense_are_refused(choices, named):
    with pytest.raises(InputError, match=named):
        tiny(**choices)
