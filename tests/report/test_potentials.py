"""One run as membranes: what is drawn and judged is what the simulation gave."""

import csv
from dataclasses import replace

import pytest
import torch

from conductance.biophysics import to_biophysical
from conductance.errors import InputError
from conductance.presets import get_preset
from conductance.report.potentials import simulate_run
from conductance.report.potentials_figure import LayerPanel, potentials_figure
from conductance.runs import load_run
from conductance.training import train
from figures import words


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of a blink on the embedded digits."""
    return train_tiny("digits-cnn-cwa", tmp_path_factory.mktemp("potentials") / "run")


def train_tiny(preset, out):
    config = get_preset(preset)
    train(replace(config, epochs=1, model=replace(config.model, widths=(6, 6))), out, device="cpu")
    return out


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
            assert abs(float(potentials[-1][column]) - there) < abs(-50 - there) / 2 + 1
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


def test_potentials_have_a_panel_for_each_layer():
    first = LayerPanel(
        "hidden.0", [3, 17], [[-50.0, -20.0], [-50.0, -60.0]], [-19.0, -61.0], [0.0, -70.0, -90.0], -50.0, [[0.0], []]
    )
    second = LayerPanel("hidden.1", [8], [[-50.0, -50.0]], [-50.0], [0.0, -100.0], None)
    image = torch.rand(3, 3).numpy()
    found = words(potentials_figure([0.0, 1.0], [first, second], image, "shown: seven"))
    assert {"hidden.0", "hidden.1", "membrane potential (mV)", "time (ms)", "shown: seven"} <= found
    assert {"unit", "3", "17", "8", "spikes onto hidden.0", "presynaptic neurons"} <= found
    assert {"excitation 0 mV", "threshold \N{MINUS SIGN}50 mV"} <= found
    assert {f"inhibition \N{MINUS SIGN}{mV} mV" for mV in (70, 90, 100)} <= found
    without = words(potentials_figure([0.0, 1.0], [second], image, "shown: seven"))
    assert "presynaptic neurons" not in without
