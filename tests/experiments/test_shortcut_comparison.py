"""The comparison of shortcuts: every branch is a config of its own, and the table is made of what is done."""

import csv
from dataclasses import replace

from conductance.data import load_dataset
from conductance.experiments import changes, shortcuts, study
from conductance.experiments.presets import get_preset
from conductance.models.resnet import SHORTCUTS
from conductance.training.build import build_network


def test_every_branch_builds_and_lies_in_its_own_folder():
    configs = [shortcuts.config_of(branch, 0) for branch in shortcuts.BRANCHES]
    assert {config.model.shortcut for config in configs} == set(SHORTCUTS)
    assert len({study.folder_of(config, shortcuts.RUNS) for config in configs}) == len(configs)
    for config in configs:
        small = replace(config, model=replace(config.model, widths=(8, 8)))
        assert build_network(small, load_dataset("digits")).get_submodule("stages") is not None


def test_the_command_trains_what_is_missing_and_writes_what_is_done(tmp_path, monkeypatch):
    monkeypatch.setattr(shortcuts, "get_preset", lambda _: get_preset("digits-fcn-cwa"))
    monkeypatch.setattr(shortcuts, "WIDTHS", (8,))
    monkeypatch.setattr(shortcuts, "EPOCHS", 1)
    monkeypatch.setattr(shortcuts, "VALIDATION_IMAGES", 100)
    monkeypatch.setattr(shortcuts, "BRANCHES", {"plain": changes.unchanged})
    file = tmp_path / "table.csv"

    def call(*arguments):
        study.command_line(
            None,
            lambda n, only: shortcuts.run(n, only, tmp_path),
            lambda n: shortcuts.table(n, tmp_path),
            file,
            arguments,
        )

    call("--table-only")
    assert not file.exists()
    call("--seeds", "1")
    with file.open() as lines:
        (row,) = csv.DictReader(lines)
    assert (row["change"], row["seeds"], row["epochs"]) == ("plain", "1", "1")
    call("--seeds", "1", "--only", "another")
    with file.open() as lines:
        assert list(csv.DictReader(lines)) == [row]
    summary = next(tmp_path.glob("*/summary.json"))
    before = summary.stat().st_mtime_ns
    call("--seeds", "1")
    assert summary.stat().st_mtime_ns == before


def test_rows_measured_elsewhere_stay(tmp_path):
    file = tmp_path / "table.csv"

    def rows(*pairs):
        return [{"architecture": "a", "family": "f", "change": change, "value": value} for change, value in pairs]

    for table in (rows(("x", "1"), ("y", "2")), rows(("y", "3"))):
        study.command_line(None, lambda *_: None, lambda _, table=table: table, file, [])
    with file.open() as lines:
        assert list(csv.DictReader(lines)) == rows(("x", "1"), ("y", "3"))
