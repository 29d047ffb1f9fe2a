"""Tables in siemens: whoever adds up their currents has the network's potentials."""

import csv

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given
from torch import nn
from torch.nn import functional as F

import conductance
from conductance.errors import InputError, UnknownNameError
from conductance.nn import AbsNormLinear, CWAConv2d, CWALinear
from conductance.transform import export_table
from conductance.transform.export import conductance_tables


@st.composite
def layers(draw):
    valence = draw(
        st.one_of(
            st.none(),
            st.lists(st.floats(-1, 1), min_size=6, max_size=6),
            st.permutations([1.0, 1.0, 1.0, -1.0, -1.0, 0.5]),
        )
    )
    options = {
        "valence": valence,
        "doubled_input": draw(st.booleans()) and valence is None,
        "nonnegative": draw(st.sampled_from(["clamped", "rectified", "softplus"])),
        "resting_conductance": draw(st.sampled_from([None, 0.0, 2.5])),
        "resting_potential": draw(st.floats(-1, 1)),
        "activation": None,
    }
    return options, draw(st.sampled_from(["linear", "conv", "groups"]))


@pytest.mark.filterwarnings("ignore:all .* presynaptic channels are")
@given(layers(), st.floats(1e-9, 1.0))
def test_the_currents_of_a_crossbar_give_the_potentials(layer, g_max):
    options, kind = layer
    torch.manual_seed(0)
    if kind == "groups":
        options["valence"] = None
    made = {
        "linear": lambda: CWALinear(6, 4, **options),
        "conv": lambda: CWAConv2d(6, 4, 2, **options),
        "groups": lambda: CWAConv2d(6, 4, 2, groups=2, **options),
    }[kind]()
    [table] = conductance_tables(made, g_max=g_max)
    p = torch.rand(3, 6) if kind == "linear" else torch.rand(3, 6, 2, 2)
    voltages = p.flatten(1).double().numpy()
    per_unit = voltages.reshape(3, 2, -1).repeat(2, 1) if kind == "groups" else np.stack([voltages] * 4, 1)
    E = (per_unit * table.excitatory).sum(2) + table.leak[0]
    I = (per_unit * table.inhibitory).sum(2) + table.leak[1]
    z = torch.from_numpy((E - I) / (E + I))
    torch.testing.assert_close(z.float(), made(p).detach().flatten(1), atol=1e-5, rtol=1e-4)
    largest = max(table.excitatory.max(), table.inhibitory.max(), table.leak.max())
    assert largest == pytest.approx(g_max)
    assert min(table.excitatory.min(), table.inhibitory.min(), table.leak.min()) >= 0


def test_the_file_has_a_row_for_each_synapse_and_each_leak(tmp_path):
    model = nn.Sequential(CWAConv2d(1, 4, 3, doubled_input=True), nn.Flatten(), CWALinear(16, 3), AbsNormLinear(3, 2))
    file = tmp_path / "siemens.csv"
    tables = export_table(model, file, g_max=5e-5)
    with file.open() as stream:
        rows = list(csv.DictReader(stream))
    assert rows[0].keys() == {"layer", "unit", "input", "excitatory_siemens", "inhibitory_siemens"}
    assert [table.layer for table in tables] == ["0", "2", "3"]
    assert len(rows) == 4 * (9 + 1) + 3 * (16 + 1) + 2 * (3 + 1)
    of_second = [row for row in rows if row["layer"] == "2" and row["input"] != "leak"]
    excitatory = np.array([float(row["excitatory_siemens"]) for row in of_second]).reshape(3, 16)
    np.testing.assert_allclose(excitatory, tables[1].excitatory, rtol=1e-6)
    G = model[2].conductance.detach()
    np.testing.assert_allclose(excitatory[:, :8], tables[1].siemens * G[:, :8].numpy(), rtol=1e-5)
    assert not excitatory[:, 8:].any()
    signed = tables[2].excitatory - tables[2].inhibitory
    np.testing.assert_allclose(signed, tables[2].siemens * model[3].weight.detach().numpy(), rtol=1e-5)


def test_layers_within_a_converted_network_are_found():
    network = nn.Sequential(nn.Linear(4, 6), nn.GELU(), nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 2))
    model = conductance.convert(network, torch.rand(8, 4)).model
    [table] = conductance_tables(model, layers=("2.layer",))
    assert table.excitatory.shape == (6, 12)  # positive and negative parts are inputs of their own
    p = model[2].open_probabilities(F.gelu(model[0](torch.rand(3, 4)))).detach().double().numpy()
    E, I = (p @ part.T + leak for part, leak in zip((table.excitatory, table.inhibitory), table.leak, strict=True))
    assert np.abs((E - I) / (E + I)).max() <= 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"g_max": 0.0}, "g_max=0: give the largest conductance in siemens"),
        ({"g_max": float("nan")}, "g_max=nan"),
        ({"layers": ("1",)}, "unknown layer '1'"),
    ],
)
def test_mistakes_are_named_and_write_nothing(options, said, tmp_path):
    with pytest.raises((InputError, UnknownNameError), match=said):
        export_table(nn.Sequential(CWALinear(4, 2)), tmp_path / "t.csv", **options)
    assert list(tmp_path.iterdir()) == []


def test_a_network_without_conductances_has_no_table(tmp_path):
    with pytest.raises(InputError, match="Linear has no layer of conductances"):
        export_table(nn.Linear(4, 2), tmp_path / "t.csv")
    silent = CWALinear(4, 2, resting_conductance=0.0)
    silent.set_conductance(0.0)
    with pytest.raises(InputError, match="layer layer: its largest conductance is 0"):
        export_table(silent, tmp_path / "t.csv")
