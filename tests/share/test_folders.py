"""A folder appears whole or not at all, and nothing of others is replaced."""

import os

import pytest
import torch
from torch import nn

import conductance
from conductance.errors import ConductanceError, InputError
from conductance.share import folders, saving


def model(value=1.0):
    network = nn.Sequential(nn.Linear(2, 2))
    nn.init.constant_(network[0].weight, value)
    return network


def left_in(folder):
    return sorted(file.name for file in folder.iterdir())


def failing(*_, **__):
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("step", ["write_tensors", "card", "write_json"])
def test_a_failure_while_writing_leaves_what_was_there(step, tmp_path, monkeypatch):
    conductance.save(model(1), tmp_path / "saved")
    for folder in ("saved", "other"):
        with monkeypatch.context() as patch:
            patch.setattr(saving, step, failing)
            with pytest.raises(ConductanceError, match="No space left"):
                conductance.save(model(2), tmp_path / folder, overwrite=True)
    assert left_in(tmp_path) == ["saved"]
    assert conductance.load(tmp_path / "saved")[0].weight[0, 0] == 1


def test_a_failure_while_renaming_puts_the_old_one_back(tmp_path, monkeypatch):
    conductance.save(model(1), tmp_path / "saved")
    rename = folders.Path.rename

    def refuse(path, target):
        if path.name.endswith(".new"):
            failing()
        return rename(path, target)

    monkeypatch.setattr(folders.Path, "rename", refuse)
    with pytest.raises(ConductanceError, match="No space left"):
        conductance.save(model(2), tmp_path / "saved", overwrite=True)
    assert left_in(tmp_path) == ["saved"]
    assert conductance.load(tmp_path / "saved")[0].weight[0, 0] == 1


def test_a_saved_network_is_replaced_when_asked(tmp_path):
    conductance.save(model(1), tmp_path / "saved")
    with pytest.raises(InputError, match="overwrite=True"):
        conductance.save(model(2), tmp_path / "saved")
    assert conductance.load(tmp_path / "saved")[0].weight[0, 0] == 1
    conductance.save(model(2), tmp_path / "saved", overwrite=True)
    assert conductance.load(tmp_path / "saved")[0].weight[0, 0] == 2
    assert left_in(tmp_path) == ["saved"]


@pytest.mark.parametrize("name", ["README.md", "train.py", ".git"])
def test_other_files_are_left_alone(name, tmp_path):
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / name).write_text("mine")
    with pytest.raises(InputError, match="holds other files"):
        conductance.save(model(), tmp_path / "project", overwrite=True)
    assert (tmp_path / "project" / name).read_text() == "mine"


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="cannot be looked into"):
        conductance.save(model(), tmp_path / "file")


def test_an_empty_folder_a_new_one_deep_down_and_the_present_one(tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "empty", tmp_path / "a/b/c"):
        conductance.load(conductance.save(model(), folder))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    conductance.save(model(), ".")
    assert conductance.load(tmp_path / "here")[0].weight[0, 0] == 1


def test_who_may_read_it_is_as_the_process_was_told(tmp_path):
    before = os.umask(0o027)
    try:
        folder = conductance.save(model(), tmp_path / "saved")
    finally:
        os.umask(before)
    assert oct(folder.stat().st_mode & 0o777) == "0o750"
    assert oct((folder / "model.safetensors").stat().st_mode & 0o777) == "0o640"


@pytest.mark.parametrize(
    "wrong", [{"dtype": "int8"}, {"accuracy": {"x": torch.ones(2)}}, {"origin": {"x": float("nan")}}]
)
def test_what_no_file_holds_is_refused_first(wrong, tmp_path):
    with pytest.raises(ConductanceError):
        conductance.save(model(), tmp_path / "saved", **wrong)
    assert left_in(tmp_path) == []
