"""Networks as membranes: the tables are what simulations gave, and what is checked in is drawn in the figure."""

import csv
import re
from dataclasses import replace

import pytest

from conductance.biophysics import simulate, to_biophysical
from conductance.presets import get_preset
from conductance.runs import load_run
from conductance.training import train
from figures import words
from studies.membranes import measure as membranes
from studies.membranes.figure import membranes_figure


def rows(file):
    return list(csv.DictReader(file.read_text().splitlines()))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of a blink on the embedded digits."""
    out = tmp_path_factory.mktemp("membranes") / "run"
    config = get_preset("digits-cnn-cwa")
    train(replace(config, epochs=1, model=replace(config.model, widths=(6, 6))), out, device="cpu")
    return out


@pytest.fixture(scope="module")
def measured(trained, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    files = folder / "accuracies.csv", folder / "layers.csv"
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"IMAGES": 30, "DURATION": 20.0, "AVERAGE_FROM": 10.0, "TIMES": (5, 20)}.items():
            patch.setattr(membranes, name, value)
        membranes.measure_membranes(trained, *files, images=30, at_rest=70, rates=(200.0, 1e6), seed=3)
    return tuple(map(rows, files))


def test_a_row_for_each_setting_and_time(measured):
    accuracies, layers = measured
    settings = [("constant", "", "float32", "70"), ("constant", "", "float64", "30")]
    in_time = [("constant", ""), ("spiking", "200.0"), ("spiking", "1000000.0")]
    settings += [(*setting, "float32", "30") for setting in in_time for _ in (5, 20)]
    assert [(row["mode"], row["rate_max"], row["dtype"], row["images"]) for row in accuracies] == settings
    assert [row["layer"] for row in layers] == ["hidden.0", "hidden.1"] * 5
    assert {(row["run"], row["seed"], row["command"]) for row in accuracies + layers} == {
        ("run", "3", "make study NAME=membranes")
    }


def test_at_rest_they_choose_what_the_network_chooses(measured):
    accuracies, layers = measured
    for row in accuracies[:2]:
        assert row["same_class"] == "100.0"
        assert row["accuracy"] == row["network_accuracy"]
    assert all(float(row["greatest"]) < 0.01 for row in layers[:2])
    assert all(float(row["rms"]) <= float(row["greatest"]) for row in layers)


def test_the_curve_is_of_the_mean_logits_since_the_start(measured, trained):
    run = load_run(trained)
    labels = run.dataset.test.labels[:30]
    x = run.preprocessing(run.dataset.test.pixels[:30])
    logits = simulate(to_biophysical(run.network, images=x), x, 20.0, units={}).logits
    for time in (5, 20):
        correct = 100 * (logits[: time + 1].mean(0).argmax(1) == labels).double().mean()
        (row,) = (row for row in measured[0][2:4] if row["time"] == str(time))
        assert float(row["accuracy"]) == pytest.approx(correct.item(), abs=0.01)


def test_what_is_checked_in_came_from_a_commit_and_rests_where_the_network_does():
    accuracies, layers = map(rows, (membranes.FOLDER.result, membranes.LAYERS))
    assert all(re.fullmatch(r"[0-9a-f]{12}", row["commit"]) for row in accuracies + layers)
    assert (accuracies[0]["images"], accuracies[0]["same_class"]) == ("10000", "100.0")
    assert accuracies[0]["accuracy"] == accuracies[0]["network_accuracy"]
    in_time = {(row["mode"], row["rate_max"]) for row in accuracies[2:]}
    assert in_time == {("constant", ""), *(("spiking", str(rate)) for rate in membranes.RATES)}
    at_rest = {
        row["dtype"]: float(row["greatest"]) / 35 for row in sorted(layers[:8], key=lambda r: float(r["greatest"]))
    }
    assert at_rest["float64"] < 1e-6
    assert at_rest["float32"] < 1e-4


def test_the_figure_has_words_for_every_curve_and_is_the_checked_in_one():
    text = membranes_figure(membranes.FOLDER.result, membranes.LAYERS)
    curves = {"no spikes", "at most 100 spikes/s", "at most 10,000 spikes/s", "network, not simulated"}
    assert curves | {"hidden layer", "simulated time (ms)"} <= words(text)
    assert words(text) == words(membranes.FOLDER.figure.read_text())
    assert len(text) < 200_000
