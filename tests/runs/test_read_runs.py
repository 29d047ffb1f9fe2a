"""Runs are found wherever they lie, and damage is named rather than drawn."""

import json
import os
import re
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductance.errors import RunError
from conductance.report.portraits import balance_counts
from conductance.runs import Run, load_run, load_runs
from synthetic_runs import write_run, write_study


def test_a_folder_stands_for_every_run_inside_it(tmp_path):
    write_study(tmp_path / "study", epochs=2)
    runs = load_runs([tmp_path])
    assert len(runs) == 18
    assert len({(run.settings["name"], run.seed) for run in runs}) == 18


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


FILES = {"config.json": "settings", "metrics.jsonl": "epochs", "summary.json": "summary", "internals.json": "internals"}


@pytest.mark.parametrize(("name", "attribute"), FILES.items())
@pytest.mark.parametrize("damage", ['{"epoch": 1,', "[]", "{}", "\udcff"])
def test_a_damaged_file_is_named(tmp_path, name, attribute, damage):
    folder = write_run(tmp_path / "a", epochs=2)
    (folder / name).write_bytes(damage.encode(errors="surrogateescape"))
    (run,) = load_runs([tmp_path])
    with pytest.raises(
        RunError, match=rf"{re.escape(name)}.*; delete the folder and repeat that run, or leave the folder out"
    ):
        getattr(run, attribute)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["edges", "counts"]), inner),
    max_leaves=5,
)


@given(data=st.data(), version=st.sampled_from(["0.1.0", "0.2.0"]))
def test_whatever_replaces_a_field_is_read_or_refused_in_one_line(tmp_path_factory, data, version):
    folder = write_run(tmp_path_factory.mktemp("run") / "a", epochs=1, version=version)
    name = data.draw(st.sampled_from(["config.json", "summary.json", "internals.json", "metrics.jsonl"]))
    content = json.loads((folder / name).read_text())
    inside = content["layers"][1] if name == "internals.json" and data.draw(st.booleans()) else content
    inside[data.draw(st.sampled_from(sorted(inside)))] = data.draw(json_values)
    (folder / name).write_text(json.dumps(content))
    (run,) = load_runs([folder])
    complaint = ""
    try:
        assert isinstance(run.kind, tuple)
        assert run.summary is not None
        assert run.epochs
        assert all(balance_counts(layer).sum() >= 0 for layer in run.internals["layers"])
    except RunError as error:
        complaint = str(error)
    assert not complaint or (str(folder) in complaint and "\n" not in complaint)


@pytest.mark.parametrize("attribute", [*FILES.values(), "config", "network"])
def test_no_file_is_read_before_it_is_needed(tmp_path, attribute):
    folder = write_run(tmp_path / "a", epochs=2)
    for name in FILES:
        (folder / name).write_text("damaged")
    (run,) = load_runs([folder])
    assert (run.path, run.finished) == (folder, True)
    with pytest.raises(RunError):
        getattr(run, attribute)


def test_a_file_is_read_once(tmp_path):
    (run,) = load_runs([write_run(tmp_path / "a", epochs=2)])
    before = {attribute: getattr(run, attribute) for attribute in FILES.values()}
    for name in FILES:
        (run.path / name).write_text("damaged")
    assert all(getattr(run, attribute) is value for attribute, value in before.items())


def test_a_finished_run_without_metrics_is_damaged(tmp_path):
    folder = write_run(tmp_path / "a", epochs=2)
    (folder / "metrics.jsonl").unlink()
    (run,) = load_runs([folder])
    with pytest.raises(RunError, match=r"a lacks metrics\.jsonl; delete the folder and repeat"):
        _ = run.epochs


def test_a_value_of_the_wrong_type_is_named(tmp_path):
    folder = write_run(tmp_path / "a", epochs=2)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"seed": "zero"}))
    (run,) = load_runs([folder])
    with pytest.raises(RunError, match="'zero' as 'seed'"):
        _ = run.settings


def _lose_an_edge(layer):
    layer["z"]["edges"].pop()


def _lose_a_unit(layer):
    layer["excitation"].pop()


def _lose_a_count(layer):
    layer["z"].pop()


def _lose_p(layer):
    del layer["p"]


def _leave_the_bins(layer):
    layer["balance"][0][1] = 40


def _lose_a_place(layer):
    layer["fields"]["width"] -= 1


@pytest.mark.parametrize(
    ("version", "damage", "complaint"),
    [
        ("0.2.0", _lose_a_place, "layer 1, 'fields' holds 144 values for 2 x 8 x 3 x 2 places"),
        ("0.1.0", _lose_an_edge, "layer 1 cannot be converted from the form of 0.1 .'z' is counted between other"),
        ("0.1.0", _lose_a_unit, "layer 1 cannot be converted from the form of 0.1"),
        ("0.1.0", _lose_p, "layer 1 lacks 'p'"),
        ("0.2.0", _lose_p, "layer 1 lacks 'p'"),
        ("0.2.0", _lose_a_count, "layer 1, 'z' does not hold 60 counts"),
        ("0.2.0", _leave_the_bins, "layer 1, 'balance' does not hold a count of units for each pair of bins"),
    ],
)
def test_internals_that_do_not_fit_together_are_refused(tmp_path, version, damage, complaint):
    file = write_run(tmp_path / "a", epochs=2, version=version) / "internals.json"
    internals = json.loads(file.read_text())
    damage(internals["layers"][1])
    file.write_text(json.dumps(internals))
    (run,) = load_runs([tmp_path])
    with pytest.raises(RunError, match=complaint):
        _ = run.internals


def test_internals_of_0_1_become_the_same_counts(tmp_path):
    old, new = (write_run(tmp_path / version, epochs=2, version=version) for version in ("0.1.0", "0.2.0"))
    counts = [{name: layer[name] for name in layer if name != "fields"} for layer in Run(new).internals["layers"]]
    assert Run(old).internals["layers"] == counts  # 0.1 kept no receptive fields
    assert json.loads((new / "internals.json").read_text()) == Run(new).internals


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


@pytest.mark.parametrize(
    ("part", "field", "value"),
    [("model", "widths", [8, 8 * 10**9]), ("model", "widths", [2**62]), ("model", "kernel", 99)],
)
def test_a_config_of_a_larger_network_takes_no_memory(part, field, value, finished, tmp_path):
    family = "cwa_bn" if field == "widths" else "cwa"
    folder = shutil.copytree(finished / family, tmp_path / "a")
    config = json.loads((folder / "config.json").read_text())
    config[part][field] = value
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(RunError, match=r"too few for the|does not fit|model\.kernel"):
        load_run(folder)
