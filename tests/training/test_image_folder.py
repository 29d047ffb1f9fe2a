"""A run on a folder of images."""

import shlex

import numpy as np
import pytest
from PIL import Image

from conductance import cli
from conductance.runs import Run, load_run


@pytest.fixture
def images(tmp_path):
    """Bright and dark images, in three parts."""
    random = np.random.default_rng(0)
    for part, count in {"train": 20, "val": 5, "test": 4}.items():
        for name, brightness in {"bright": 160, "dark": 0}.items():
            (tmp_path / "images" / part / name).mkdir(parents=True)
            for number in range(count):
                pixels = random.integers(brightness, brightness + 96, (10, 14, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / "images" / part / name / f"{number}.png")
    return tmp_path / "images"


def test_a_preset_is_trained_on_it_and_evaluated_again(images, out, capsys):
    chosen = ["--data.dataset", "folder", "--data.image-size", "8", "--data-dir", str(images), "--data.batch-size", "8"]
    cli.main(["train", "digits-cnn-cwa", *chosen, "--model.widths", "8", "8", "--epochs", "8", "--out", str(out)])
    summary = Run(out).summary
    assert summary["dataset"] == "folder"
    assert summary["validation_accuracy"] > 60
    assert summary["test_accuracy"] > 60
    trained = load_run(out, images)
    assert trained.dataset.input_shape == (3, 8, 8)
    assert trained.dataset.classes == ("bright", "dark")
    assert shlex.split(Run(out).summary["command"])[-1] == f"--data-dir={images}"
    capsys.readouterr()
    cli.main(["evaluate", str(out), "--data-dir", str(images)])
    assert f"test accuracy {summary['test_accuracy']:.2f} %" in capsys.readouterr().out


def test_another_folder_is_not_taken_for_it(images, out, capsys):
    options = ["--data.dataset", "folder", "--data.image-size", "8", "--epochs", "1", "--model.widths", "8", "8"]
    cli.main(["train", "digits-cnn-cwa", *options, "--data-dir", str(images), "--out", str(out)])
    for part in ("train", "val", "test"):
        (images / part / "dark").rename(images / part / "dim")
    capsys.readouterr()
    with pytest.raises(SystemExit):
        cli.main(["evaluate", str(out), "--data-dir", str(images)])
    assert "has the classes bright, dim, but" in capsys.readouterr().err


def test_it_must_be_named(out, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["train", "digits-cnn-cwa", "--data.dataset", "folder", "--out", str(out)])
    assert end.value.code == 2
    assert "data set 'folder' needs --data-dir DIR" in capsys.readouterr().err
    assert not out.exists()
