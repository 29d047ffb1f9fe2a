"""Pictures of circuits hold what they say."""

import matplotlib as mpl
import numpy as np
import pytest
import torch

from conductance.biophysics import PotentialRange
from conductance.circuits import Circuit, Convolution, Sparse, plot
from conductance.errors import ConductanceError

mpl.use("Agg")


@pytest.fixture(autouse=True)
def _closed():
    yield
    mpl.pyplot.close("all")


@pytest.fixture
def net():
    circuit = Circuit()
    x = circuit.input("x", 6, coding="on_off")
    e = circuit.population("E", 8, tau_membrane=10)
    i = circuit.population("I", 4, reversal="GABA-A")
    circuit.connect(x, e)
    circuit.connect(e, i)
    circuit.connect(i, e)
    circuit.connect(e, e, rule=Sparse(0.5))
    return circuit.build(slices=5)


def test_the_diagram_has_a_node_for_each_population_and_an_arrow_for_each_projection(net):
    ax = plot.circuit(net)
    texts = [text.get_text() for text in ax.texts]
    assert {"x\n12", "E\n8", "I\n4"} <= set(texts)
    assert texts.count("") == len(net.projections) == 4
    ax.figure.canvas.draw()


def test_connectivity_is_the_matrix_with_signs(net):
    [image] = plot.connectivity(net, "E").images
    shown = np.asarray(image.get_array())
    parts = [net.conductance("x", "E"), net.conductance("E", "E"), -0.4 * net.conductance("I", "E")]
    np.testing.assert_allclose(shown, torch.cat(parts, 1).detach().numpy(), rtol=1e-6)


def test_raster_and_potentials_show_the_activity(net):
    ran = net.run(torch.rand(3, 6))
    [image] = plot.raster(ran, 1).images
    sent = torch.cat([ran.sent["E"][1], ran.sent["I"][1]], 1)
    np.testing.assert_allclose(np.asarray(image.get_array()), sent.T.detach().numpy())
    lines = plot.potentials(ran, "E", 2, potentials=PotentialRange(), neurons=3).lines
    assert len(lines) == 3
    np.testing.assert_allclose(
        lines[1].get_ydata(), PotentialRange().to_millivolts(ran.potential["E"][2, :, 1]).detach(), rtol=1e-6
    )


@pytest.mark.parametrize("target", ["E", "I"])
def test_currents_are_conductances_times_driving_forces(net, target):
    ran = net.run(torch.rand(3, 6))
    current = {line.get_label(): line.get_ydata() for line in plot.currents(net, ran, target, 3, 1).lines}
    if target == "E":
        V = ran.potential["E"][1, :, 3]
        expected = (-0.4 - V[1:]) * (ran.sent["I"][1, :-1] @ net.conductance("I", "E")[3])
        np.testing.assert_allclose(current["I (-1)"][1:], expected.detach(), rtol=1e-4, atol=1e-6)
        assert {"x", "E (-1)", "I (-1)", "leak"} <= set(current)
    else:  # a steady state in each slice
        np.testing.assert_allclose(current["E"] + current["leak"], 0, atol=1e-5)


def shown(axes):
    return np.stack([[np.asarray(ax.images[0].get_array()) for ax in row] for row in axes])


def test_receptive_fields_are_what_excites_and_what_inhibits():
    circuit = Circuit()
    valence = [1.0] * 6 + [-0.5] * 6
    x = circuit.input("x", (3, 4), valence=valence)
    y = circuit.input("y", 12, coding="on_off")
    e = circuit.population("E", 5)
    circuit.connect(x, e)
    circuit.connect(y, e)
    net = circuit.build()
    axes = plot.receptive_fields(net, "E", "x", 4)
    G = net.conductance("x", "E").detach()[:4].view(4, 3, 4)
    signs = net.valence("x").float().view(3, 4)
    expected = torch.stack([G * signs.clamp(min=0), G * signs.clamp(max=0).neg()])
    np.testing.assert_allclose(shown(axes), expected, rtol=1e-6)
    assert [row[0].get_ylabel() for row in axes] == ["excitatory", "inhibitory"]
    axes = plot.receptive_fields(net, "E", "y", 2, shape=(4, 3))
    np.testing.assert_allclose(
        shown(axes), net.conductance("y", "E").detach()[:2].view(2, 2, 4, 3).transpose(0, 1), rtol=1e-6
    )
    assert [row[0].get_ylabel() for row in axes] == ["on", "off"]
    with pytest.raises(ConductanceError, match=r"y has the grid 12, 2 channels; receptive fields are drawn of a plane"):
        plot.receptive_fields(net, "E", "y")


def test_receptive_fields_of_a_convolutional_population_are_its_kernels():
    circuit = Circuit()
    circuit.connect(
        circuit.input("x", (4, 4), channels=2, valence=[1.0, -1.0]),
        circuit.population("C", (4, 4), channels=3),
        rule=Convolution(3),
    )
    net = circuit.build()
    axes = plot.receptive_fields(net, "C", "x")
    kernels = net.conductance("x", "C").detach()
    np.testing.assert_allclose(shown(axes), kernels.transpose(0, 1), rtol=1e-6)


def test_what_cannot_be_drawn_is_one_line(net):
    ran = net.run(torch.rand(3, 6))
    circuit = Circuit()
    circuit.connect(circuit.input("x", (4, 4)), circuit.population("C", (4, 4)), rule=Convolution(3))
    convolutional = circuit.build()
    for action, message in (
        (lambda: plot.connectivity(net, "P"), "unknown population 'P'"),
        (lambda: plot.connectivity(convolutional, "C"), "C is convolutional"),
        (lambda: plot.potentials(ran, "I"), "unknown population with tau_membrane 'I'"),
        (lambda: plot.raster(ran, 3), "sample=3: the activity holds 3 samples"),
    ):
        with pytest.raises(ConductanceError) as caught:
            action()
        assert message in str(caught.value)
