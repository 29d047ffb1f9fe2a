"""The figures of networks as membranes."""

from pathlib import Path

from conductance.report.potentials_figure import potentials_figure
from figures import words
from studies.membranes.figure import membranes_figure

ROOT = Path(__file__).parents[2]


def test_the_tables_are_drawn_with_words_for_every_curve_and_layer():
    text = membranes_figure(ROOT / "results" / "membranes.csv", ROOT / "results" / "membranes_layers.csv")
    curves = {"constant open probabilities", "100 spikes/s at p = 1", "10,000 spikes/s at p = 1", "the network itself"}
    assert curves | {"hidden.0", "hidden.3", "simulated time (ms)"} <= words(text)
    assert words(text) == words((ROOT / "docs" / "membranes.svg").read_text())
    assert len(text) < 200_000


def test_potentials_have_a_panel_for_each_layer():
    curves = {"hidden.0": [[-35.0, -20.0], [-35.0, -60.0]], "hidden.1": [[-35.0, -35.0]]}
    text = potentials_figure([0.0, 1.0], curves, {"hidden.0": [-19.0, -61.0], "hidden.1": [-35.0]})
    assert {"hidden.0", "hidden.1", "membrane potential (mV)", "ms"} <= words(text)
