"""Steps by depth: every network has its depth, every rule can be run, and the table is of the rows."""

from pathlib import Path
from statistics import fmean

import pytest
import torch

from conductance.nn import ConductanceLayer
from conductance.optim import hidden_synapses
from conductance.optim.create import default_lr
from studies.step_by_depth import measure as study
from studies.step_by_depth.measure import Case, markdown


@pytest.mark.parametrize(("network", "depth"), [(name, depth) for name in study.DEPTHS for depth in study.DEPTHS[name]])
def test_a_network_has_so_many_hidden_layers(network, depth):
    built = study.NETWORKS[network](depth)
    assert sum(isinstance(layer, ConductanceLayer) for layer in built) == len(hidden_synapses(built)) == depth
    assert built(torch.rand(2, 1, 8, 8)).shape == (2, 10)


def test_every_depth_is_measured_at_its_default_step():
    cases = study.cases()
    assert len(set(cases)) == len(cases)
    for network, depths in study.DEPTHS.items():
        for depth in depths:
            assert Case(network, depth, "muon", default_lr(depth), study.SEEDS - 1) in cases


@pytest.mark.parametrize("rule", ["muon", "eg"])
def test_a_rule_learns(monkeypatch, rule):
    monkeypatch.setattr(study, "EPOCHS", 1)
    assert study.train(Case("FCN", 2, rule, 0.1, 0))["accuracy"] > 20  # 10 by chance


def test_the_same_seed_gives_the_same_run(monkeypatch):
    monkeypatch.setattr(study, "EPOCHS", 1)
    case = Case("CNN", 2, "adam", 0.05, 0)
    assert study.train(case) == study.train(case)


def test_the_table_has_means_over_seeds_and_the_lowest_at_the_default_step():
    step = default_lr(10)
    rows = [
        {"network": "FCN", "rule": "muon", "depth": "10", "step": f"{at}", "accuracy": f"{accuracy}"}
        for at, accuracy in [(0.1, 60), (0.1, 70), (step, 90), (step, 95)]
    ]
    (line,) = markdown(rows).splitlines()[2:]
    assert line == f"| FCN | muon | 10 | 65.0 |  |  | {step:.3g} | 92.5 (90.0) |"


def test_the_numbers_in_the_documentation_are_those_of_the_result():
    accuracies = {}
    for row in study.read_rows(study.FOLDER.result):
        if (row["network"], row["rule"]) == ("FCN", "muon"):
            accuracies.setdefault((int(row["depth"]), float(row["step"])), []).append(float(row["accuracy"]))
    means = {case: f"{fmean(found):.1f} %" for case, found in accuracies.items()}
    assert {len(found) for found in accuracies.values()} == {study.SEEDS}
    text = " ".join((Path(__file__).parents[2] / "docs" / "training.md").read_text().split())
    shallow, ten, twenty = study.SHALLOW_STEP, default_lr(10), default_lr(20)
    assert f"ten layers has {means[10, shallow]} at the step 0.1 and {means[10, ten]} at {ten:.3f}" in text
    assert f"twenty layers {means[20, shallow]} (chance) and {means[20, twenty]} at {twenty:.3f}" in text
