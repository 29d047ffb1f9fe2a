"""The default starts: networks have their depth, every start and optimizer can be run, pages show the result."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from conductance.nn import ConductanceLayer
from figures import words
from studies.default_start import measure as study
from studies.default_start.figure import STARTS, default_start_figure
from studies.default_start.measure import AFFINE, Case
from studies.default_start.table import all_starts, default_start
from studies.shared.growing import read_rows
from studies.shared.stacks import NETWORKS


@pytest.mark.parametrize("depth", study.DEPTHS)
@pytest.mark.parametrize("network", NETWORKS)
def test_a_network_has_so_many_hidden_layers_and_an_affine_twin_of_the_same_shape(network, depth):
    images = torch.rand(2, 1, 8, 8)
    ours, affine = (NETWORKS[network](depth, affine) for affine in (False, True))
    assert sum(isinstance(layer, ConductanceLayer) for layer in ours.modules()) == depth
    assert sum(isinstance(layer, nn.Linear | nn.Conv2d) for layer in affine.modules()) == depth + 1
    assert ours(images).shape == affine(images).shape == (2, 10)


def test_runs_come_seed_by_seed_and_the_deepest_of_a_seed_last():
    cases = study.cases()
    assert len(set(cases)) == len(cases) == 3 * 4 * 5 * 4 * study.SEEDS
    seeds = [case.seed for case in cases]
    assert seeds == sorted(seeds)
    first = [case.depth for case in cases if case.seed == 0]
    assert first == sorted(first)


@pytest.fixture
def quick(monkeypatch):
    """One epoch of two batches."""
    split = study.split_digits

    def few():
        digits = split()
        return replace(digits, images=digits.images[:100], labels=digits.labels[:100])

    monkeypatch.setattr(study, "split_digits", few)
    monkeypatch.setattr(study, "EPOCHS", 1)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("start", study.STARTS)
def test_every_start_can_be_run(start):
    measured = study.train(Case("FCN", 2, "Adam 0.01", start, 0))
    assert 0 <= measured["accuracy"] <= 100
    assert measured["loss"] > 0


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("optimizer", study.OPTIMIZERS)
@pytest.mark.parametrize("network", NETWORKS)
def test_every_optimizer_takes_every_network(network, optimizer):
    measured = study.train(Case(network, 2, optimizer, "default", 0))
    assert set(measured) < set(read_rows(study.FOLDER.result)[0])


@pytest.mark.usefixtures("quick")
def test_the_same_seed_gives_the_same_run_and_another_one_other_images():
    case = Case("CNN", 2, "SGD 0.1, momentum 0.9", AFFINE, 0)
    assert study.train(case) == study.train(case) != study.train(replace(case, seed=1))


ROWS = [
    {"network": "FCN", "optimizer": "Adam 0.01", "start": start, "depth": str(depth), "accuracy": f"{accuracy}"}
    for start, depth, accuracy in [("default", 2, 90), ("default", 2, 92), ("default", 5, 80), ("glorot", 5, 10)]
]


def test_tables_have_a_column_for_each_depth_and_means_over_seeds():
    assert all_starts(ROWS).splitlines()[2:] == [
        "| FCN | Adam 0.01 | default | 91.0 ± 1.4 | 80.0 |",
        "| FCN | Adam 0.01 | glorot |  | 10.0 |",
    ]
    assert default_start(ROWS).splitlines()[2:] == ["| FCN | Adam 0.01 | 91.0 ± 1.4 | 80.0 |"]


def test_the_figure_names_networks_optimizers_and_starts():
    shown = words(default_start_figure(ROWS))
    assert {"FCN", "Adam 0.01", "hidden layers", *(label for _, _, label in STARTS.values())} <= shown
    assert set(STARTS) == set(study.STARTS)


def test_what_is_checked_in_is_of_the_result():
    rows = read_rows(study.FOLDER.result)
    assert {(row["network"], row["optimizer"], row["start"]) for row in rows} == {
        (network, optimizer, start) for network in NETWORKS for optimizer in study.OPTIMIZERS for start in study.STARTS
    }
    assert study.FOLDER.table.read_text() == all_starts(rows)
    assert study.DEFAULT_TABLE.read_text() == default_start(rows)
    assert words(study.FOLDER.figure.read_text()) == words(default_start_figure(rows))
