"""Runs are found wherever they lie, and damage is named rather than drawn."""

import json
import os
import re

import pytest

from conductance.errors import RunError
from conductance.runs import load_runs
from synthetic_runs import write_run, write_study


def test_a_folder_stands_for_every_run_inside_it(tmp_path):
    write_study(tmp_path / "study", epochs=2)
    runs = load_runs([tmp_path])
    assert len(runs) == 18
    assert len({(run.config["name"], run.seed) for run in runs}) == 18


def test_a_run_named_twice_is_loaded_once(tmp_path):
    folder = write_run(tmp_path / "a" / "b", epochs=2)
    assert [run.path for run in load_runs([folder, tmp_path, str(folder)])] == [folder.resolve()]


def test_what_lies_inside_a_run_is_no_run(tmp_path):
    folder = write_run(tmp_path / "a", epochs=2)
    (folder / "checkpoint").mkdir()
    (folder / "checkpoint" / "config.json").write_text("{}")
    assert len(load_runs([tmp_path])) == 1


def test_an_unfinished_run_keeps_its_whole_epochs(tmp_path):
    folder = write_run(tmp_path / "a", done=3)
    with (folder / "metrics.jsonl").open("a") as metrics:
        metrics.write('{"epoch": 4, "train_l')
    (run,) = load_runs([folder])
    assert not run.finished
    assert run.internals is None
    assert [epoch["epoch"] for epoch in run.epochs] == [1, 2, 3]


def test_a_run_that_has_only_begun_has_no_epochs(tmp_path):
    folder = write_run(tmp_path / "a", done=0)
    (folder / "metrics.jsonl").unlink()
    (run,) = load_runs([folder])
    assert run.epochs == ()
    assert run.progress == "seed 0: 0 of 20 epochs"


@pytest.mark.parametrize("name", ["config.json", "metrics.jsonl", "summary.json", "internals.json"])
@pytest.mark.parametrize("damage", ['{"epoch": 1,', "[]", "{}", "\udcff"])
def test_a_damaged_file_is_named(tmp_path, name, damage):
    folder = write_run(tmp_path / "a", epochs=2)
    (folder / name).write_bytes(damage.encode(errors="surrogateescape"))
    with pytest.raises(RunError, match=rf"{re.escape(name)}.*; repeat that run, or leave its folder out"):
        load_runs([tmp_path])


def test_a_finished_run_without_metrics_is_damaged(tmp_path):
    folder = write_run(tmp_path / "a", epochs=2)
    (folder / "metrics.jsonl").unlink()
    with pytest.raises(RunError, match=r"metrics\.jsonl is missing"):
        load_runs([folder])


def test_a_value_of_the_wrong_type_is_named(tmp_path):
    folder = write_run(tmp_path / "a", epochs=2)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"seed": "zero"}))
    with pytest.raises(RunError, match="'zero' as 'seed'"):
        load_runs([folder])


def _lose_an_edge(layer):
    layer["z"]["edges"].pop()


def _lose_a_unit(layer):
    layer["excitation"].pop()


def _start_at_zero(layer):
    layer["excitatory_conductance"]["edges"][0] = 0.0


def _lose_p(layer):
    del layer["p"]


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (_start_at_zero, "layer 1, 'excitatory_conductance' has an edge at or below 0"),
        (_lose_an_edge, "layer 1, 'z' does not have one edge more than counts"),
        (_lose_a_unit, "layer 1 has excitation and inhibition of different lengths"),
        (_lose_p, "layer 1 lacks 'p'"),
    ],
)
def test_internals_that_do_not_fit_together_are_refused(tmp_path, damage, complaint):
    file = write_run(tmp_path / "a", epochs=2) / "internals.json"
    internals = json.loads(file.read_text())
    damage(internals["layers"][1])
    file.write_text(json.dumps(internals))
    with pytest.raises(RunError, match=complaint):
        load_runs([tmp_path])


def test_no_runs_at_all(tmp_path):
    with pytest.raises(RunError, match=r"no runs found in .*; give run folders"):
        load_runs([tmp_path])
    with pytest.raises(RunError, match="no runs found in an empty list"):
        load_runs([])


def test_a_path_that_is_no_folder(tmp_path):
    with pytest.raises(RunError, match="does not exist; give a run folder"):
        load_runs([tmp_path / "nowhere"])
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="is not a folder; give a run folder"):
        load_runs([tmp_path / "file"])


def test_links_are_followed_and_circles_end(tmp_path):
    folder = write_run(tmp_path / "elsewhere" / "a", epochs=2)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "linked").symlink_to(folder)
    (tmp_path / "runs" / "circle").symlink_to(tmp_path / "runs")
    assert [run.path for run in load_runs([tmp_path / "runs"])] == [folder.resolve()]


def test_a_folder_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    write_run(tmp_path / "a", epochs=2)

    scan = os.scandir

    def refused(path):
        if os.fspath(path) == str(closed):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr("os.scandir", refused)
    closed = tmp_path / "lost+found"
    closed.mkdir()
    with pytest.warns(UserWarning, match="cannot be read .Permission denied., and is left out"):
        assert len(load_runs([tmp_path])) == 1
    closed = tmp_path
    with pytest.raises(RunError, match=f"{tmp_path} cannot be read .Permission denied.; make it readable"):
        load_runs([tmp_path])
