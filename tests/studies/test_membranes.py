"""Networks as membranes: the tables are what simulations gave, and what is checked in says what the pages say."""

import csv
import re
from dataclasses import replace
from pathlib import Path

import pytest

from conductance.biophysics import simulate, to_biophysical
from conductance.errors import InputError
from conductance.presets import get_preset
from conductance.report.potentials import simulate_run
from conductance.runs import load_run
from conductance.training import train
from studies.membranes import measure as membranes

ROOT = Path(__file__).parents[2]


def rows(file):
    return list(csv.DictReader(file.read_text().splitlines()))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of a blink on the embedded digits."""
    return train_tiny("digits-cnn-cwa", tmp_path_factory.mktemp("membranes") / "run")


def train_tiny(preset, out):
    config = get_preset(preset)
    train(replace(config, epochs=1, model=replace(config.model, widths=(6, 6))), out, device="cpu")
    return out


@pytest.fixture(scope="module")
def measured(trained, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    files = folder / "accuracies.csv", folder / "layers.csv"
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"IMAGES": 30, "DURATION": 20.0, "AVERAGE_FROM": 10.0, "TIMES": (5, 20)}.items():
            patch.setattr(membranes, name, value)
        membranes.measure_membranes(trained, *files, images=30, at_rest=70, rates=(100.0, 1e6), seed=3)
    return tuple(map(rows, files))


def test_a_row_for_each_setting_and_time(measured):
    accuracies, layers = measured
    settings = [("constant", "", "float32", "70"), ("constant", "", "float64", "30")]
    in_time = [("constant", ""), ("spiking", "100.0"), ("spiking", "1000000.0")]
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


@pytest.mark.parametrize("mode", ["constant", "spiking"])
def test_one_run_is_drawn_and_judged(trained, tmp_path, mode):
    result = simulate_run(
        trained,
        tmp_path,
        images=4,
        duration=30.0,
        mode=mode,
        step=2.0,
        rate_max=1e5,
        total_conductance=200.0,
        seed=0,
    )
    figure, table = result.files
    assert (figure.parent, table.parent) == (tmp_path, tmp_path)
    heading, *potentials = csv.reader(table.read_text().splitlines())
    assert [row[0] for row in potentials] == [str(2.0 * k) for k in range(16)]
    shown = [name.split("/") for name in heading[1:]]
    assert [name for name, _ in shown] == ["hidden.0"] * 5 + ["hidden.1"] * 5
    run = load_run(trained)
    x = run.preprocessing(run.dataset.test.pixels[:4])
    steady = to_biophysical(run.network).steady_state(x)
    for column, (name, unit) in enumerate(shown, 1):
        if mode == "constant":
            there = steady[name][0].flatten()[int(unit)].item()
            assert abs(float(potentials[-1][column]) - there) < abs(-35 - there) / 2 + 1
    assert [layer["units"] for layer in result.layers] == [V[0].numel() for V in steady.values()]
    right = run.network(x).argmax(1) == run.dataset.test.labels[:4]
    assert result.accuracies["network_accuracy"] == 100 * right.double().mean()
    assert figure.read_text().startswith("<?xml")


def test_refuses_before_it_writes(trained, tmp_path):
    options = {"duration": 5.0, "mode": "constant", "step": 1.0, "rate_max": 1.0, "total_conductance": 50.0, "seed": 0}
    with pytest.raises(InputError, match="images=0: give at least 1"):
        simulate_run(trained, tmp_path / "out", images=0, **options)
    with pytest.raises(InputError, match="duration=5 ms with step=0 ms"):
        simulate_run(trained, tmp_path / "out", images=2, **{**options, "step": 0.0})
    affine = train_tiny("digits-cnn-affine", tmp_path / "affine")
    with pytest.raises(InputError, match=r"layer hidden\.0\.0 is Conv2d, which is no membrane"):
        simulate_run(affine, tmp_path / "out", images=2, **options)
    assert not (tmp_path / "out").exists()
