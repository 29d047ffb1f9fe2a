"""What the paper concludes, held against runs of known answers."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from conductance.errors import RunError
from conductance.report.comparing import Comparison, compare, holm
from conductance.report.rows import mixture, row_of
from conductance.report.table import NOTHING, note_below
from conductance.reproduction.claims import CLAIMS, COLUMNS, Finding, claims_table, corrected, findings
from conductance.reproduction.outside import outside_the_tables
from conductance.reproduction.paper import TABLES
from conductance.reproduction.recipes import RECIPES
from conductance.reproduction.rows import paper_rows
from conductance.reproduction.tables import write_tables
from conductance.runs import load_runs
from conductance.runs.groups import group_runs
from conductance.runs.predictions import Predictions
from synthetic_runs import write_run

CELLS = {cell.name: cell for table in TABLES.values() for cell in table}
CLAIM = "Affine + BatchNorm is above CWA: cifar10, cnn"


def measured(path, name, accuracies, images=400, answers=True, commit="abc", precision="no", **summary):
    """Made-up runs of a cell by its preset, a seed for each accuracy; the first images are the easy ones."""
    for seed, accuracy in enumerate(accuracies):
        config = replace(RECIPES["presets"].config(CELLS[name]), seed=seed, precision=precision)
        folder = path / "presets" / f"{name}-seed{seed}"
        write_run(folder, dataset=config.data.dataset, architecture=config.model.architecture,
                  family=config.model.family, seed=seed, epochs=config.epochs, test_accuracy=accuracy,
                  git_commit=commit, **summary)  # fmt: skip
        (folder / "config.json").write_text(json.dumps(config.to_dict()))
        if answers:
            labels = np.arange(images) % 10
            right = np.arange(images) < images * accuracy / 100
            Predictions(np.where(right, labels, (labels + 1) % 10), labels).write(folder / "predictions.npz")
    return path


def found(path, claim=CLAIM):
    rows = [row for table in TABLES for row in paper_rows(table, load_runs([path]))]
    (finding,) = [each for each in findings(rows) if each.claim == claim]
    return finding


def test_the_papers_own_figures_bear_every_claim_out():
    assert all(claim.paper > 0 for claim in CLAIMS)
    assert len({claim.text for claim in CLAIMS}) == len(CLAIMS)


@pytest.mark.parametrize(("above", "below", "verdict"), [
    ((90.0, 90.5, 89.5), (80.0, 80.5, 79.5), "supported"),
    ((80.0, 80.5, 79.5), (90.0, 90.5, 89.5), "contradicted"),
    ((81.0, 79.0, 80.5), (80.0, 80.5, 79.5), "undecided"),
])  # fmt: skip
def test_cells_are_compared_image_by_image(above, below, verdict, tmp_path):
    measured(tmp_path, "cifar10-cnn-affine_bn", above)
    finding = found(measured(tmp_path, "cifar10-cnn-cwa", below))
    assert finding.verdict == verdict
    assert finding.obstacle == ""
    runs = {name: [run.predictions.correct for run in load_runs([tmp_path]) if name in str(run.path)]
            for name in ("affine_bn", "cwa-")}  # fmt: skip
    assert finding.comparison == compare(runs["affine_bn"], runs["cwa-"])
    assert finding.line()[3] == f"{finding.comparison.low:+.2f} to {finding.comparison.high:+.2f}"


def test_without_answers_nothing_is_decided_and_the_interval_is_of_seeds(tmp_path):
    measured(tmp_path, "cifar10-cnn-affine_bn", (90.0, 90.1, 90.2), answers=False)
    finding = found(measured(tmp_path, "cifar10-cnn-cwa", (80.0, 80.1, 80.2)))
    assert finding.line()[-1] == "undecided (no per-image predictions)"
    assert finding.comparison.low > 9
    assert finding.p is None


def test_one_seed_decides_nothing(tmp_path):
    measured(tmp_path, "cifar10-cnn-affine_bn", (90.0,))
    finding = found(measured(tmp_path, "cifar10-cnn-cwa", (80.0,)))
    assert finding.line()[-1] == "undecided (one seed)"
    assert finding.comparison.low > 5  # of the images alone
    for file in tmp_path.rglob("predictions.npz"):
        file.unlink()
    assert found(tmp_path).line()[2:4] == ["+10.00", NOTHING]
    assert found(tmp_path).line()[-1] == "undecided (one seed, no per-image predictions)"


def test_claims_that_one_recipe_decides_are_corrected_together():
    comparison = Comparison(1.0, 0.1, 1.9, 0.04, (3, 3))
    alone = Finding("a", "+1", "presets", comparison)
    others = [replace(alone, claim=name, comparison=replace(comparison, p=p)) for name, p in (("b", 0.03), ("c", 0.01))]
    apart = replace(alone, claim="d", recipe="paper")
    barred = replace(alone, claim="e", obstacle="one seed")
    result = corrected([alone, *others, apart, barred])
    assert [each.p for each in result] == [*holm([0.04, 0.03, 0.01]), 0.04, None]
    assert [each.verdict for each in result] == ["undecided", "undecided", "supported", "supported", "undecided"]


def test_open_cells_and_runs_of_another_length_bear_nothing_out(tmp_path):
    assert claims_table([]).count("undecided (not measured)") == len(CLAIMS)
    measured(tmp_path, "cifar10-cnn-affine_bn", (90.0, 91.0))
    measured(tmp_path, "cifar10-cnn-cwa", (80.0, 81.0))
    for file in tmp_path.rglob("*cwa-seed*/config.json"):
        file.write_text(json.dumps({**json.loads(file.read_text()), "epochs": 3}))
    assert found(tmp_path).obstacle == "not measured"


def test_what_no_two_cells_decide_is_reported_too(tmp_path):
    measured(tmp_path, "cifar10-fcn-cwa", (65.0, 66.0), train_accuracy=99.9)
    measured(tmp_path, "cifar10-fcn-absnorm", (64.0, 67.5), train_accuracy=80.0)
    rows = [row for table in TABLES for row in paper_rows(table, load_runs([tmp_path]))]
    training, best = outside_the_tables(rows)
    assert training.here == "1 of 2 cells, the least 80.0"
    assert training.verdict == "undecided"
    assert best.here == "-1.50 (of 2 and 2)"
    assert [each.obstacle for each in outside_the_tables([])] == ["not measured"] * 2


def test_rows_say_what_their_seeds_do_not_share(tmp_path):
    measured(tmp_path, "cifar10-cnn-cwa", (80.0,), commit="abc")
    measured(tmp_path / "other", "cifar10-cnn-cwa", (80.0, 81.0), commit="def", precision="bf16")
    (tmp_path / "other/presets/cifar10-cnn-cwa-seed0").rename(tmp_path / "gone")
    for file in (tmp_path / "gone").iterdir():
        file.unlink()
    (tmp_path / "gone").rmdir()
    (group,) = group_runs(load_runs([tmp_path]))
    assert mixture(group) == "float32 and bf16, 2 commits"
    assert "Seeds that mix precisions or commits: " in note_below([row_of(group)])
    write_tables(load_runs([tmp_path]), tmp_path / "out", page=False)
    assert "presets; mixes float32 and bf16, 2 commits |" in (tmp_path / "out/table1.md").read_text()
    with (tmp_path / "out/table1.csv").open() as file:
        (line,) = csv.DictReader(file)
    assert line["mixes"] == "float32 and bf16, 2 commits"
    assert "runs" not in line


def test_findings_from_elsewhere_stand_below(tmp_path):
    write_tables([], tmp_path, further=[Finding("Pigs can fly", "yes", here="no", given="contradicted")], page=False)
    last = (tmp_path / "claims.md").read_text().splitlines()[-1]
    assert last == f"| Pigs can fly | yes | no {f'| {NOTHING} ' * 4}| contradicted |"
    assert len(last.split(" | ")) == len(COLUMNS)


@pytest.mark.parametrize("classes", [10, 1000])
def test_predictions_survive_their_file_and_are_small(classes, tmp_path):
    random = np.random.default_rng(0)
    labels = random.integers(classes, size=10_000)
    kept = Predictions(np.where(random.random(10_000) < 0.9, labels, 0), labels)
    kept.write(tmp_path / "predictions.npz")
    read = Predictions.read(tmp_path / "predictions.npz")
    np.testing.assert_array_equal(read.predicted, kept.predicted)
    np.testing.assert_array_equal(read.correct, kept.correct)
    assert (tmp_path / "predictions.npz").stat().st_size < (13_000 if classes == 10 else 40_000)
    (tmp_path / "predictions.npz").write_bytes(b"PK" + bytes(30))
    with pytest.raises(RunError, match="is damaged"):
        Predictions.read(tmp_path / "predictions.npz")
