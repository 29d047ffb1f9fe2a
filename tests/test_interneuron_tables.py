"""The tables about pooled interneurons: compared on the same images, by runs of any seeds."""

import numpy as np
import pytest

from conductance.runs import load_runs
from conductance.runs.predictions import Predictions
from tests.synthetic_runs import write_run
from tools.interneuron_tables import classes, comparisons, epochs

ACCURACY = {"cwa": 0.7, "cwa-pooled": 0.8, "affine_bn": 0.805}
IMAGES = 4000


def answered(accuracy, seed):
    random = np.random.default_rng(seed)
    labels = np.arange(IMAGES) % 10
    wrong = random.random(IMAGES) >= accuracy
    return Predictions(np.where(wrong, (labels + 1) % 10, labels), labels)


def runs_of(folder, seeds=(0, 1, 2), kinds=tuple(ACCURACY)):
    for kind in kinds:
        for seed in seeds:
            name = f"cifar10-cnn-{kind}"
            path = write_run(
                folder / f"{name}-seed{seed}",
                dataset="cifar10",
                family=kind.removesuffix("-pooled"),
                name=name,
                seed=seed,
                epochs=10,
            )
            answered(ACCURACY[kind], [seed, len(kind)]).write(path / "predictions.npz")
    return load_runs([folder])


def verdicts(table):
    return [line.split(" | ")[-2] for line in table.splitlines()[2:]]


def test_what_three_seeds_say_is_decided_and_what_one_says_is_not(tmp_path):
    assert verdicts(comparisons(runs_of(tmp_path / "three"))) == ["supported", "supported", "undecided"]
    one = comparisons(runs_of(tmp_path / "one", seeds=(0,)))
    assert verdicts(one) == ["undecided (one seed)"] * 3
    first, *_, last = (float(line.split(" | ")[-1].removesuffix(" |")) for line in one.splitlines()[2:])
    assert first < 1e-6 < last  # the exact test says what it says of two networks
    assert verdicts(comparisons(runs_of(tmp_path / "pair", kinds=("cwa", "cwa-pooled")))) == ["supported"]


def test_each_class_has_its_gain(tmp_path):
    rows = [line.split(" | ") for line in classes(runs_of(tmp_path)).splitlines()[2:]]
    assert [row[2] for row in rows][:2] == ["airplane", "automobile"]
    assert len(rows) == 10
    gained = np.array([float(row[6]) for row in rows])
    assert gained.mean() == pytest.approx(10, abs=2)
    np.testing.assert_allclose(gained, [float(row[4]) - float(row[3]) for row in rows], atol=0.11)
    assert len(classes(runs_of(tmp_path / "one", seeds=(0,))).splitlines()) == 2


def test_epochs_that_are_over_have_a_row(tmp_path):
    runs = runs_of(tmp_path)
    lines = epochs(runs).splitlines()[2:]
    assert [line.split(" | ")[2] for line in lines] == ["1", "2", "5", "10"]


def test_without_an_interneuron_there_is_nothing_to_compare(tmp_path):
    runs = runs_of(tmp_path, kinds=("cwa", "affine_bn"))
    assert all(len(table(runs).splitlines()) == 2 for table in (comparisons, classes, epochs))
