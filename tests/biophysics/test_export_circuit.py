"""A circuit written for other simulators, coupled in time: NEURON and Brian2 follow our course."""

import csv
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from conductance.biophysics import export_circuit, simulate, to_biophysical
from conductance.biophysics.export_circuit import BRIAN2, NEURON
from conductance.circuits import Circuit, Convolution, Sparse
from conductance.errors import ConductanceError
from conductance.nn import CWALinear

HERE = Path(__file__).parent
STEP = 0.01  # ms
DURATION = 40  # ms


def small():
    """A recurrent circuit without a random number: slow membranes, inhibition of two kinds, gates, delays, pools."""
    circuit = Circuit()
    x = circuit.input("x", 3, coding="on_off")
    e = circuit.population("E", 5, tau_membrane=20, resting_conductance=2.0, pooled_interneuron=True)
    pv = circuit.population("PV", 3, reversal="GABA-A", tau_synapse=6)
    som = circuit.population("SOM", 2, reversal="GABA-B", gate="logistic", pooled_interneuron=True)
    circuit.connect(x, e)
    circuit.connect(e, [pv, som])
    circuit.connect(pv, [e, pv], delay=1)
    circuit.connect(som, e, delay=7)
    circuit.connect(e, e, delay=2)
    net = circuit.build(slice_duration=0.5).double()
    for number, (source, target, delay) in enumerate(net.projections):
        shape = net.conductance(source, target, delay).shape
        G = (3 * torch.arange(shape.numel(), dtype=torch.float64).view(shape) + number) % 7 / 10
        net.set_conductance(source, target, G, delay)
    image = torch.tensor([[0.9, 0.4, 0.0]], dtype=torch.float64)
    return net, image, to_biophysical(net, images=image)


def course(network, image, step=STEP, duration=DURATION):
    """V every millisecond, (time, neurons)."""
    result = simulate(network, image, duration, step=step, every=round(1 / step))
    return torch.cat([V.flatten(1) for V in result.potential.values()], 1).numpy()


def potentials(text):
    heading, *rows = csv.reader(text.splitlines())
    assert [row[0] for row in rows] == list(map(str, range(len(rows))))
    return heading[1:], np.array([row[1:] for row in rows], dtype=float)


def run(file, *options):
    ran = subprocess.run([sys.executable, file, *options], capture_output=True, text=True, timeout=120, env={})
    assert ran.returncode == 0, ran.stderr
    return potentials(ran.stdout)


@pytest.mark.skipif(
    find_spec("neuron") is None, reason="NEURON is not installed: pip install 'conductance[biophysics]'"
)
def test_neuron_follows_our_course_to_the_same_rest(tmp_path):
    """Its own method, of second order, differs by at most 0.01 mV on the way at this step."""
    _, image, network = small()
    file, _, _ = export_circuit(network, image, tmp_path)
    names, theirs = run(file, "--duration", str(DURATION), "--step", str(STEP))
    assert names == [*(f"E{i}" for i in range(5)), *(f"PV{i}" for i in range(3)), "SOM0", "SOM1"]
    ours = course(network, image)
    assert np.ptp(ours, 0).min() > 1
    np.testing.assert_allclose(theirs, ours, rtol=0, atol=0.01)
    _, theirs = run(file, "--duration", "400", "--step", "0.1")
    rest = torch.cat([V.flatten() for V in network.steady_state(image).values()])
    np.testing.assert_allclose(theirs[-1], rest, rtol=0, atol=1e-5)


# Brian2 2.9.0 does not import with numpy 2, so it ran in an environment of its own (`tools/record_brian2.py` says how),
# with the files that `export_circuit` writes of `small()`:
# brian/bin/python brian2_circuit.py --duration 40 --step 0.01 > tests/biophysics/brian2_circuit.csv
def test_brian2_ran_the_script_that_is_written_now_and_agrees():
    """It makes the same exact steps as we do."""
    assert (HERE / "brian2_circuit.txt").read_text() == BRIAN2
    _, theirs = potentials((HERE / "brian2_circuit.csv").read_text())
    _, image, network = small()
    np.testing.assert_allclose(theirs, course(network, image), rtol=0, atol=1e-5)


def test_the_scripts_compile_and_the_numbers_are_the_circuits(tmp_path):
    net, image, network = small()
    neuron, brian2, data = export_circuit(network, image, tmp_path)
    assert (neuron.read_text(), brian2.read_text()) == (NEURON, BRIAN2)
    for file in (neuron, brian2):
        compile(file.read_text(), file, "exec")
    numbers = dict(np.load(data))
    np.testing.assert_allclose(numbers["shown"], [0.9, 0.4, 0.0, 0.1, 0.6, 1.0])
    opened = sum(int((net.conductance(*each) > 0).sum()) for each in net.projections)
    assert len(numbers["source"]) == len(numbers["conductance"]) == opened
    pv = network.by_name["PV"]
    chosen = (numbers["target"] == 6) & (numbers["source"] < 11)  # PV1, by E
    G = np.zeros(5)
    G[numbers["source"][chosen] - 6] = numbers["conductance"][chosen]
    np.testing.assert_allclose(G, pv.nanosiemens * net.conductance("E", "PV")[1].detach())
    assert set(numbers["reversal"][numbers["source"] >= 14]) == {-90.0}
    assert set(numbers["delay"]) == {0.0, 0.5, 1.0, 3.5}


@pytest.mark.skipif(
    find_spec("neuron") is None, reason="NEURON is not installed: pip install 'conductance[biophysics]'"
)
def test_kernels_are_written_synapse_by_synapse(tmp_path):
    torch.manual_seed(0)
    circuit = Circuit()
    x = circuit.input("x", (4, 4), channels=2)
    e = circuit.population("E", (2, 2), channels=3, resting_conductance=2.0)
    i = circuit.population("I", 6, reversal="GABA-A", tau_membrane=3)
    circuit.connect(x, e, rule=Convolution(3, stride=2))
    circuit.connect(e, i, rule=Sparse(0.7))
    net = circuit.build(outputs="I").double()
    image = torch.rand(1, 2, 4, 4, dtype=torch.float64)
    network = to_biophysical(net, images=image)
    file, _, _ = export_circuit(network, image, tmp_path)
    _, theirs = run(file, "--duration", "20", "--step", str(STEP))
    np.testing.assert_allclose(theirs, course(network, image, duration=20), rtol=0, atol=0.01)


def test_what_cannot_be_written_is_one_line(tmp_path):
    net, image, network = small()
    layer = to_biophysical(CWALinear(4, 3))
    for action, message in (
        (lambda: export_circuit(layer, torch.rand(1, 4), tmp_path), "CWALinear is no circuit"),
        (lambda: export_circuit(network, image.expand(2, -1), tmp_path), "image has the shape (2, 3); give one"),
        (lambda: export_circuit(network, image.expand(1, 2, -1), tmp_path), "image has the shape (1, 2, 3); give one"),
        (lambda: export_circuit(network, 2 * image, tmp_path), "images[0, 0] is 1.8"),
    ):
        with pytest.raises(ConductanceError) as caught:
            action()
        assert message in str(caught.value)
    assert list(tmp_path.iterdir()) == []
    assert net.slices == 1
