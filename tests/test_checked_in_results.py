"""What is checked in under results/ was run, and the pages show it as it is."""

import csv
import json
import re
from pathlib import Path

import pytest

from conductance.report.portraits import portraits
from conductance.reproduction import RECIPES, TABLES, plan_jobs
from conductance.runs import Run, load_runs
from conductance.runs.groups import group_runs
from tools import write_results

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "results"
RUNS = sorted(path.parent for path in RESULTS.rglob("summary.json"))
OF_STUDIES = {"circuit_claims.md"}  # made of studies' results, see tests/studies/test_circuit_studies.py
TABLE_FILES = sorted({file.name for file in (RESULTS / "tables").iterdir()} - OF_STUDIES)


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.name)
def test_a_summary_says_what_its_epochs_say(run):
    summary = json.loads((run / "summary.json").read_text())
    epochs = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert summary["test_accuracy"] == epochs[-1]["test_accuracy"]
    assert summary["best_test_accuracy"] == max(epoch["test_accuracy"] for epoch in epochs)
    assert summary["epochs"] == len(epochs) == epochs[-1]["epoch"]
    assert "config" not in summary  # it stands in config.json
    config = Run(run).config
    parts = (config.name, config.seed, config.data.dataset, config.model.architecture, config.model.family)
    assert parts == tuple(summary[field] for field in ("name", "seed", "dataset", "architecture", "family"))


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.name)
def test_a_result_can_be_reproduced_from_what_it_says(run):
    summary = json.loads((run / "summary.json").read_text())
    assert summary["command"].startswith("conductance train ")
    assert f"--seed {summary['seed']}" in summary["command"]
    assert re.fullmatch(r"[0-9a-f]{12}", summary["git_commit"])  # a commit, and no change to it
    assert {"cpu", "device", "threads"} <= set(summary["hardware"])


def test_runs_with_an_interneuron_and_those_beside_them_keep_their_answers():
    members = [run for run in load_runs([RESULTS / "pooled"]) if run.finished]
    assert members
    for run in members:
        assert run.predictions is not None
        assert 100 * run.predictions.correct.mean() == pytest.approx(run.summary["test_accuracy"], abs=0.005)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """``runs.csv`` and the tables, made again from the runs."""
    folder = tmp_path_factory.mktemp("results")
    write_results.main(RESULTS, folder)
    return folder


def test_the_leaderboard_has_every_run(written):
    text = (RESULTS / "runs.csv").read_text()
    assert text == (written / "runs.csv").read_text()
    rows = list(csv.DictReader(text.splitlines()))
    assert sorted(RESULTS / row["folder"] for row in rows) == RUNS
    assert all(row.keys() and all(row.values()) for row in rows)


@pytest.mark.parametrize("table", TABLE_FILES)
def test_the_tables_are_made_of_the_runs(table, written):
    assert (RESULTS / "tables" / table).read_text() == (written / "tables" / table).read_text()


def test_no_table_is_missing(written):
    assert sorted(file.name for file in (written / "tables").iterdir()) == TABLE_FILES


def test_results_are_small():
    files = [file for file in RESULTS.rglob("*") if file.is_file() and file.suffix != ".safetensors"]
    answers = [file for file in files if file.name == "predictions.npz"]
    assert all(file.stat().st_size < 15_000 for file in answers)
    files = [file for file in files if file not in answers]
    assert sum(file.stat().st_size for file in files) < 2_000_000
    assert sum(file.read_text().count("\n") for file in files) < 25_000


def test_internals_can_be_drawn():
    runs = [run for run in load_runs([RESULTS]) if run.internals is not None]
    assert len(runs) > 50
    smallest = min(runs, key=lambda run: len(run.internals["layers"]))
    (portrait,) = portraits(group_runs([smallest]))
    assert len(portrait.columns) == 4


@pytest.mark.parametrize("page", ["results/README.md", "docs/reproduction.md"])
def test_pages_show_the_tables_as_they_are(page):
    text = (ROOT / page).read_text()
    tables = re.findall(r"<!-- (results/\S+\.md) -->", text)
    assert tables
    assert all((ROOT / table).read_text() in text for table in tables)


def test_reproduce_goes_on_from_what_is_checked_in():
    found = {
        job.folder.path
        for cells in TABLES.values()
        for job in plan_jobs(cells, RECIPES["presets"], seeds=3, out=RESULTS)
        if job.folder.finished
    }
    assert found == set((RESULTS / "presets").iterdir())
