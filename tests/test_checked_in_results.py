"""What is checked in under results/ was run, and what the README says of it is what is there."""

import json
import re
from pathlib import Path

import pytest

from conductance.report import markdown_table, summarize
from conductance.reproduction.plan import plan_runs
from conductance.reproduction.recipes import RECIPES
from conductance.reproduction.results import write_tables
from conductance.reproduction.tables import TABLES
from conductance.runs import load_runs

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
RUNS = sorted(path.parent for path in (ROOT / "results").rglob("summary.json"))
STUDIES = sorted({run.parent for run in RUNS})


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.name)
def test_a_summary_says_what_its_epochs_say(run):
    summary = json.loads((run / "summary.json").read_text())
    epochs = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert summary["test_accuracy"] == epochs[-1]["test_accuracy"]
    assert summary["best_test_accuracy"] == max(epoch["test_accuracy"] for epoch in epochs)
    assert summary["epochs"] == len(epochs) == epochs[-1]["epoch"]
    assert summary["config"] == json.loads((run / "config.json").read_text())


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.name)
def test_a_result_can_be_reproduced_from_what_it_says(run):
    summary = json.loads((run / "summary.json").read_text())
    assert summary["command"].startswith("conductance train ")
    assert f"--seed {summary['seed']}" in summary["command"]
    assert re.fullmatch(r"[0-9a-f]{12}", summary["git_commit"])  # a commit, and no change to it
    assert {"cpu", "device", "threads"} <= set(summary["hardware"])


@pytest.mark.parametrize("study", STUDIES, ids=lambda study: study.name)
def test_the_tables_are_made_of_the_runs(study):
    assert study.with_suffix(".md").read_text() == markdown_table(summarize(load_runs([study])))


@pytest.mark.parametrize("page", ["README.md", "results/README.md", "docs/reproduction.md"])
def test_pages_show_the_tables_as_they_are(page):
    text = (ROOT / page).read_text()
    tables = re.findall(r"<!-- (?:results/)?(\S+\.md) -->", text)
    assert tables
    assert all((ROOT / "results" / table).read_text() in text for table in tables)


def test_the_readme_shows_results_first_and_is_short():
    assert (ROOT / "results/reproduction/modern.md").read_text() in README
    assert README.index("| Test % |") < README.index("## ")
    assert len(README.encode()) < 6000


def test_the_readmes_example_runs():
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    exec(compile(example, "README.md", "exec"), {})


def test_what_the_readme_points_to_is_there():
    links = re.findall(r"\]\(([^)]+)\)", README)
    assert links
    assert all((ROOT / link).exists() for link in links)


def test_reproduce_goes_on_from_what_is_checked_in():
    checked_in = {path.parent for path in (ROOT / "results/reproduction").rglob("summary.json")}
    found = {
        run.folder
        for recipe in RECIPES.values()
        for cells in TABLES.values()
        if any(map(recipe.serves, cells))
        for run in plan_runs(cells, recipe, seeds=3, out=ROOT / "results/reproduction")
        if run.finished
    }
    assert found == checked_in


@pytest.mark.parametrize("table", ["table1.csv", "table1.md", "table2.csv", "table2.md", "claims.md"])
def test_the_papers_tables_are_made_of_the_runs(table, tmp_path):
    runs = load_runs([ROOT / "results" / part for part in ("mnist", "centering", "reproduction", "short")])
    write_tables(runs, tmp_path, page=False)
    text = (ROOT / "results" / table).read_text()
    assert text == (tmp_path / table).read_text()
    if table.endswith(".md"):
        assert text in (ROOT / "docs/reproduction.md").read_text()
