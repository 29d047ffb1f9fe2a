"""The figures of networks as membranes."""

from conductance.report.potentials_figure import potentials_figure
from figures import words
from studies.membranes.figure import membranes_figure
from studies.membranes.measure import FOLDER, LAYERS


def test_the_tables_are_drawn_with_words_for_every_curve_and_layer():
    text = membranes_figure(FOLDER.result, LAYERS)
    curves = {"no spikes", "at most 100 spikes/s", "at most 10,000 spikes/s", "network, not simulated"}
    assert curves | {"hidden layer", "simulated time (ms)"} <= words(text)
    assert words(text) == words(FOLDER.figure.read_text())
    assert len(text) < 200_000


def test_potentials_have_a_panel_for_each_layer():
    curves = {"hidden.0": [[-35.0, -20.0], [-35.0, -60.0]], "hidden.1": [[-35.0, -35.0]]}
    text = potentials_figure([0.0, 1.0], curves, {"hidden.0": [-19.0, -61.0], "hidden.1": [-35.0]})
    assert {"hidden.0", "hidden.1", "membrane potential (mV)", "ms"} <= words(text)
