"""The drift from balance: what is measured, and that the figure shows it."""

import csv
from dataclasses import replace

import pytest
import torch

from conductance.data import load_dataset
from conductance.training.build import build_network
from figures import words
from studies.drift import measure as drift
from studies.drift.figure import drift_figure
from studies.shortcuts import measure as shortcuts


@pytest.fixture
def table(tmp_path, monkeypatch):
    """Two steps of a two-layer stage on digits, in place of CIFAR-10."""
    config_of = drift.config_of

    def small(centered, seed):
        config = config_of(centered, seed)
        data = replace(config.data, batch_size=20, max_shift=1)
        return replace(config, model=replace(config.model, widths=(4,)), data=data)

    monkeypatch.setattr(drift, "load_dataset", lambda *_: load_dataset("digits"))
    monkeypatch.setattr(drift, "config_of", small)
    for name, value in {"STEPS": 4, "BETWEEN": 2, "SEEDS": 1, "IMAGES": 20}.items():
        monkeypatch.setattr(drift, name, value)
    drift.measure_drift(tmp_path / "drift.csv")
    return tmp_path / "drift.csv"


def test_both_kinds_of_gradients_start_from_the_same_network_and_part(table):
    with table.open() as file:
        rows = list(csv.DictReader(file))

    def shares(gradients, step):
        chosen = [row for row in rows if row["gradients"] == gradients and row["step"] == str(step)]
        assert [int(row["layer"]) for row in chosen] == [1, 2, 3, 4, 5]  # a stem, two blocks
        return torch.tensor([[float(row["open"]), float(row["offset"])] for row in chosen])

    assert torch.equal(shares("plain", 0), shares("centered", 0))
    assert not torch.equal(shares("plain", 4), shares("centered", 4))
    assert bool((shares("plain", 0)[:, 1] < 0.5).all())  # balanced
    assert len(rows) == 2 * 3 * 5


def test_the_figure_has_a_line_for_each_layer_and_kind(table):
    shown = {"plain gradients", "centered gradients", "share of z² that is the same for all images", "training step"}
    assert shown <= words(drift_figure(table))


def test_the_checked_in_figure_is_of_the_result():
    assert words(drift.FOLDER.figure.read_text()) == words(drift_figure(drift.FOLDER.result))


def test_the_offset_is_what_does_not_depend_on_the_input():
    assert drift.offset(torch.tensor([[1.0, -2.0], [1.0, -2.0]])) == 1
    assert drift.offset(torch.tensor([[1.0, -2.0], [-1.0, 2.0]])) == 0
    assert drift.offset(torch.tensor([[2.0], [0.0]])) == pytest.approx(0.5)


def test_the_network_is_the_one_of_the_shortcuts_by_their_mean():
    measured = shortcuts.config_of(("resnet18", "cwa", "mean"), 1)
    config = drift.config_of(True, 1)
    assert (config.model.widths, config.optimizer) == (measured.model.widths, measured.optimizer)
    assert build_network(config, load_dataset("digits")).stages[0][0].join == "mean" == measured.model.shortcut
