"""Converted networks: steps are chosen without test images, and table, figure and page are of the rows."""

from statistics import fmean

import pytest
import torch
from torch import nn

from conductance.nn import ConductanceLayer
from figures import words
from studies.converted import measure as study
from studies.converted.figure import converted_figure
from studies.converted.measure import Case, chosen_steps
from studies.converted.table import converted_table
from studies.shared.growing import read_rows

ROWS = [
    {"network": "vit", "layers": layers, "step": f"{step}", "judged": judged, "seed": f"{seed}", **measured}
    for layers, step, judged, seed, measured in [
        ("affine", 0.001, "validation", 0, {"accuracy": "90.0"}),
        ("affine", 0.001, "validation", 1, {"accuracy": "92.0"}),
        ("affine", 0.01, "validation", 0, {"accuracy": "99.0"}),
        ("affine", 0.01, "validation", 1, {"accuracy": "80.0"}),
        ("affine", 0.001, "test", 0, {"accuracy": "95.0", "parameters": "1000"}),
        ("affine", 0.001, "test", 1, {"accuracy": "97.0", "parameters": "1000"}),
        ("converted", 0.01, "validation", 0, {"accuracy": "91.0"}),
        ("converted", 0.01, "test", 0, {"accuracy": "93.0", "parameters": "2000"}),
        ("converted", 0.01, "test", 1, {"accuracy": "91.0", "parameters": "2000"}),
    ]
]


def test_a_step_is_chosen_by_its_mean_on_validation_images():
    assert chosen_steps(ROWS) == {("vit", "affine"): 0.001, ("vit", "converted"): 0.01}
    assert [case.step for case in study.finals(ROWS, seeds=2)] == [0.001, 0.001, 0.01, 0.01]


def test_held_out_images_are_training_images():
    torch.manual_seed(0)
    digits = study.split_digits()
    held_out = study._held_out(digits)
    assert len(held_out.images) + study.VALIDATION_IMAGES == len(digits.images)
    assert torch.equal(torch.cat([held_out.images, held_out.judged_images]), digits.images)


@pytest.mark.parametrize("layers", study.LAYERS)
def test_a_run_starts_with_the_network_it_names(layers):
    pytest.importorskip("transformers")
    network = study.build(Case("residual", layers, 0.01, "test", 0), torch.rand(8, 1, 8, 8))
    converted = any(isinstance(part, ConductanceLayer) for part in network.modules())
    assert converted == (layers == "converted") != any(isinstance(part, nn.BatchNorm2d) for part in network.modules())
    assert network.training


def test_the_same_seed_gives_the_same_run(monkeypatch):
    monkeypatch.setattr(study, "EPOCHS", 1)
    case = Case("residual", "affine", 0.01, "validation", 0)
    assert study.train(case) == study.train(case)


def test_the_table_has_test_accuracies_side_by_side():
    (line,) = converted_table(ROWS).splitlines()[2:]
    assert line.endswith("| 1,000 | 0.001 | 96.00 ± 1.41 | 2,000 | 0.01 | 92.00 ± 1.41 | 91.0 | -4.0 |")


def test_what_is_checked_in_is_of_the_result():
    rows = read_rows(study.FOLDER.result)
    assert {(row["network"], row["layers"], row["judged"]) for row in rows} == {
        (network, layers, judged)
        for network in study.NETWORKS
        for layers in study.LAYERS
        for judged in ("validation", "test")
    }
    assert study.FOLDER.table.read_text() == converted_table(rows)
    assert words(study.FOLDER.figure.read_text()) == words(converted_figure(rows, chosen_steps(rows)))
    assert len([row for row in rows if row["judged"] == "test"]) == len(study.finals(rows))


def test_the_page_says_what_the_rows_say():
    rows = [row for row in read_rows(study.FOLDER.result) if row["judged"] == "test"]
    mean = {
        layers: {name: fmean(_accuracies(rows, name, layers)) for name in study.NETWORKS} for layers in study.LAYERS
    }
    behind = [mean["affine"][name] - mean["converted"][name] for name in study.NETWORKS]
    page = (study.FOLDER.path / "README.md").read_text()
    assert f"between {min(behind):.1f} and {max(behind):.1f} points behind" in " ".join(page.split())
    assert behind[0] < 2  # the ResNet
    assert min(float(row["accuracy"]) for row in rows) > 90


def _accuracies(rows, network, layers):
    return [float(row["accuracy"]) for row in rows if (row["network"], row["layers"]) == (network, layers)]
