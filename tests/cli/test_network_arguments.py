"""Commands that take a saved network do what can be done without images."""

import csv
import subprocess
import sys

import pytest
import torch
from torch import nn

import conductance
from conductance.nn import CWALinear


def test_conductances_of_a_network_saved_without_preprocessing_are_exported(call, tmp_path):
    torch.manual_seed(0)
    layer = CWALinear(6, 4, doubled_input=True)
    conductance.save(nn.Sequential(layer, nn.Linear(4, 2)), tmp_path / "mine")
    status, _, err = call("export", tmp_path / "mine", "--out", tmp_path / "siemens.csv", "--g-max", "1")
    assert (status, err) == (0, "")
    rows = list(csv.DictReader((tmp_path / "siemens.csv").read_text().splitlines()))
    assert len(rows) == 4 * (6 + 1)  # a row for each input of each unit, and its leak
    assert call("check", tmp_path / "mine")[0] == 0


def test_images_are_asked_for_where_they_are_needed(call, tmp_path):
    conductance.save(nn.Sequential(CWALinear(6, 4), nn.Linear(4, 2)), tmp_path / "mine")
    status, _, err = call("export", tmp_path / "mine", "--out", tmp_path / "mine.onnx")
    assert status == 2
    assert "mine was saved without preprocessing" in err
    assert err.count("\n") == 1


def test_the_package_is_a_command(call):
    shown = subprocess.run([sys.executable, "-m", "conductance", "--version"], capture_output=True, text=True)
    assert (shown.returncode, shown.stdout) == call("--version")[:2]


@pytest.mark.parametrize("command", [("check",), ("evaluate",), ("export", "--out", "x.csv")])
def test_a_folder_of_something_else_is_named(command, call, tmp_path):
    status, out, err = call(command[0], tmp_path, *command[1:])
    assert (status, out) == (2, "")
    assert f"{tmp_path} holds neither a run (config.json) nor a saved network (conductance.json)" in err
