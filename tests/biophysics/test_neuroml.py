"""Units in NeuroML: valid by its schema, and with the network's potentials when their equations are solved."""

import re
import shutil
import subprocess
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from torch import nn

from conductance.biophysics import PotentialRange, export_neuroml, to_biophysical
from conductance.errors import InputError, UnknownNameError
from conductance.nn import CWAConv2d, CWALinear, LateralLinear

neuroml = pytest.importorskip("neuroml", reason="the extra export is not installed")
SCHEMA = Path(neuroml.__file__).parent / "nml" / f"NeuroML_{neuroml.current_neuroml_version}.xsd"
potentials = st.sampled_from([PotentialRange(), PotentialRange(-90.0, 10.0)])


def read(file):
    """The document, which is valid by the schema, in libNeuroML's classes."""
    from lxml import etree
    from neuroml.loaders import read_neuroml2_file

    schema = etree.XMLSchema(file=str(SCHEMA))
    assert schema.validate(etree.parse(str(file))), schema.error_log
    document = read_neuroml2_file(str(file), verbose=False)
    document.validate(recursive=True)
    return document


def quantity(text, unit):
    assert text.endswith(unit)
    return float(text.removesuffix(unit))


def steady_state(document, lems):
    """V in mV of each unit from what the two files say alone."""
    synapses = {
        found["id"]: found
        for found in (dict(re.findall(r'(\w+)="([^"]*)"', line)) for line in re.findall(r"<rectifiedSynapse .*", lems))
    }
    cells = {cell.id: cell for cell in document.iaf_cells}
    [network] = document.networks
    [drive] = document.pulse_generators
    held = cells["presynaptic"]
    leak, rest = quantity(held.leak_conductance, "nS"), quantity(held.leak_reversal, "mV")
    amplitude = quantity(drive.amplitude, "pA")
    before = {each.target: rest + each.weight * amplitude / leak for each in network.input_lists[0].input_ws}
    found = {}
    projections = {each.postsynaptic_population: each for each in network.continuous_projections}
    for population in network.populations[1:]:
        cell = cells[population.component]
        total = quantity(cell.leak_conductance, "nS")
        current = total * quantity(cell.leak_reversal, "mV")
        for each in (
            projections[population.id].continuous_connection_instance_ws if population.id in projections else ()
        ):
            synapse = synapses[each.post_component]
            threshold, slope = quantity(synapse["threshold"], "mV"), quantity(synapse["slope"], "mV")
            p = min(max((before[each.pre_cell] - threshold) / slope, 0.0), 1.0)
            G = each.weight * quantity(synapse["conductance"], "nS") * p
            total, current = total + G, current + G * quantity(synapse["erev"], "mV")
        found[population.id] = current / total
    return found


@settings(max_examples=10)
@given(potentials, st.sampled_from(["0", "1", "3"]), st.integers(0, 5))
def test_what_the_files_say_gives_the_networks_potentials(tmp_path_factory, potentials, layer, seed):
    torch.manual_seed(seed)
    model = nn.Sequential(
        CWAConv2d(1, 3, 3, doubled_input=True),
        CWAConv2d(3, 4, 2, valence=[1, -1, 0.3], resting_potential=0.4),
        nn.Flatten(),
        CWALinear(4 * 4, 5),
        nn.Linear(5, 2),
    )
    image = torch.rand(1, 1, 5, 5)
    network = to_biophysical(model, potentials, images=torch.rand(5, 1, 5, 5))
    file = tmp_path_factory.mktemp("neuroml") / "units.nml"
    written, lems = export_neuroml(network, layer, None, image, file)
    assert (written, lems) == (file, file.with_name("LEMS_units.xml"))
    found = steady_state(read(file), lems.read_text())
    wanted = network.steady_state(image)[layer].flatten().tolist()
    assert list(found) == [f"unit{number}" for number in range(len(wanted))]
    np.testing.assert_allclose(list(found.values()), wanted, atol=1e-3)


def test_conductances_that_join_from_elsewhere_are_synapses_too(tmp_path):
    model = nn.Sequential(LateralLinear(6, 4), nn.Linear(4, 2))
    image = torch.rand(1, 6)
    network = to_biophysical(model, images=torch.rand(5, 6))
    file, lems = export_neuroml(network, "0", [1, 3], image, tmp_path / "joined.nml")
    document = read(file)
    found = steady_state(document, lems.read_text())
    wanted = network.steady_state(image)["0"].flatten()[[1, 3]].tolist()
    np.testing.assert_allclose([found["unit1"], found["unit3"]], wanted, atol=1e-3)
    assert "Units of layer 0" in document.networks[0].notes
    [gate] = document.ComponentType
    assert gate.extends == "baseGradedSynapse"
    assert 'fileName="joined.dat"' in lems.read_text()


@pytest.mark.skipif(shutil.which("jnml") is None, reason="jNeuroML is not installed: jnml, which needs Java")
def test_jneuroml_simulates_the_networks_potentials(tmp_path):
    model = nn.Sequential(CWAConv2d(1, 3, 3, doubled_input=True), nn.Flatten(), CWALinear(48, 5), nn.Linear(5, 2))
    network = to_biophysical(model, images=torch.rand(5, 1, 6, 6))
    image = torch.rand(1, 1, 6, 6)
    _, lems = export_neuroml(network, "2", None, image, tmp_path / "units.nml")
    subprocess.run(["jnml", lems.name, "-nogui"], cwd=tmp_path, check=True, capture_output=True, timeout=120)
    *_, last = (tmp_path / "units.dat").read_text().splitlines()
    milliseconds, *volts = map(float, last.split())
    assert milliseconds == pytest.approx(0.2)
    np.testing.assert_allclose(1000 * np.array(volts), network.steady_state(image)["2"].flatten(), atol=1e-2)


def test_mistakes_are_named_and_write_nothing(tmp_path):
    network = to_biophysical(nn.Sequential(CWALinear(4, 3), nn.Linear(3, 2)))
    image = torch.rand(1, 4)
    for layer, units, file, said in (
        ("7", None, "a.nml", "unknown layer '7'"),
        ("0", [3], "a.nml", "unit 3 of layer 0: it has 3"),
        ("0", [], "a.nml", "give at least one"),
        ("0", None, "a b.nml", "letters, digits and _"),
    ):
        with pytest.raises((InputError, UnknownNameError), match=said):
            export_neuroml(network, layer, units, image, tmp_path / file)
    assert list(tmp_path.iterdir()) == []
