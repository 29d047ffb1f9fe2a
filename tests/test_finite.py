"""Weights that are infinite or NaN are refused in one line wherever a network is used for something that lasts."""

import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import conductance
from conductance import nn as layers
from conductance.biophysics import to_biophysical
from conductance.data import Images, Preprocessing
from conductance.errors import ConductanceError, InputError
from conductance.training import Trainer, TrainingConfig, evaluate
from conductance.transform import export_program, export_table, freeze

IMAGES = Images(torch.zeros(4, 1, 4, 4, dtype=torch.uint8), torch.zeros(4, dtype=torch.int64))


def network():
    return nn.Sequential(nn.Flatten(), layers.CWALinear(16, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2))


DATA = (torch.rand(8, 1, 4, 4), torch.zeros(8, dtype=torch.int64))


def trained_before(model):
    """A trainer whose network has lost its values since it was made."""
    trainer = Trainer(network(), DATA, TrainingConfig(batch_size=4), progress=False, device="cpu")
    trainer.network.load_state_dict(model.state_dict())
    return trainer


USES = {
    "convert": lambda model, _: conductance.convert(model, torch.rand(4, 1, 4, 4)),
    "freeze": lambda model, _: freeze(model),
    "program": lambda model, place: export_program(model, torch.rand(4, 1, 4, 4), place / "a.pt2"),
    "table": lambda model, place: export_table(model, place / "a.csv"),
    "membranes": lambda model, _: to_biophysical(nn.Sequential(*(model[place] for place in (0, 1, 4)))),
    "save": lambda model, place: conductance.save(model, place / "saved"),
    "evaluate": lambda model, _: evaluate(model, Preprocessing("unit", 1), IMAGES),
    "trainer": lambda model, _: trained_before(model).evaluate(DATA),
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("place", ["1.g", "4.weight"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_network_that_is_not_finite_is_not_used(use, place, value, tmp_path):
    model = network()
    with torch.no_grad():
        model.get_parameter(place).view(-1)[3] = value
    with pytest.raises(ConductanceError, match=r"infinite or NaN|not finite|is (nan|inf)") as raised:
        USES[use](model, tmp_path)
    assert "\n" not in str(raised.value)
    assert not list(tmp_path.iterdir())


@given(st.sampled_from(["running_mean", "running_var"]), st.sampled_from([float("nan"), -float("inf")]))
def test_statistics_count_too(buffer, value):
    model = network()
    getattr(model[2], buffer)[1] = value
    with pytest.raises(InputError, match=rf"2\.{buffer} has 1 of 8 values that are infinite or NaN"):
        freeze(model)


def test_a_byte_of_the_weights_that_changes_is_noticed(tmp_path):
    """Which no format of weights does by itself: the network would only be another one."""
    folder = conductance.save(nn.Sequential(nn.Linear(4, 3)), tmp_path / "saved")
    file = folder / "model.safetensors"
    contents = bytearray(file.read_bytes())
    contents[-1] ^= 1
    file.write_bytes(contents)
    with pytest.raises(ConductanceError, match="its checksum is another"):
        conductance.load(folder)


def test_weights_of_others_without_a_checksum_are_read(tmp_path):
    folder = conductance.save(nn.Sequential(nn.Linear(4, 3)), tmp_path / "saved")
    file = folder / "model.safetensors"
    state = safetensors.torch.load_file(file)
    safetensors.torch.save_file(state, file)
    assert torch.equal(conductance.load(folder)[0].weight, state["0.weight"])
