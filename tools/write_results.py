"""Write ``results/runs.csv`` and the tables in ``results/tables`` anew from the runs that are checked in."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from conductance.files import write_table, write_text
from conductance.report import summarize
from conductance.report.rows import Row
from conductance.report.table import (
    COLUMNS,
    NOTHING,
    Column,
    markdown_lines,
    markdown_of,
    note_below,
    percent,
    with_spread,
)
from conductance.reproduction import TABLES, Cell, write_tables
from conductance.reproduction.claims import Finding
from conductance.reproduction.recipes import recipe_of
from conductance.reproduction.rows import hardware_of
from conductance.runs import Run, load_runs
from studies.paper_claims.table import claims_of
from studies.shared.growing import read_rows
from tools.interneuron_tables import classes, comparisons, epochs
from tools.missing import missing

RESULTS = Path(__file__).parent.parent / "results"
SECTIONS = ("presets", "pooled", "retrained", "beyond", "short", "archive", "demo")
"""The folders of runs, each with a table of its name."""

OF_THE_PAPERS_TABLES = (
    *("presets", "pooled", "retrained"),
    *("short", "archive/early_presets", "beyond/centering", "beyond/full_range"),
)
"""The runs that stand beside the paper's: all but those of an abandoned recipe, and with a choice the paper lacks."""


def main(results: Path = RESULTS, out: Path = RESULTS) -> None:
    runs = {section: load_runs([results / section]) for section in SECTIONS}
    write_table(out / "runs.csv", *leaderboard([run for section in runs.values() for run in section], results))
    for section, members in runs.items():
        write_text(out / f"tables/{section}.md", table(results / section, members))
    write_text(out / "tables/overview.md", overview(runs["presets"], runs["pooled"]))
    for name, tabulate in (("comparisons", comparisons), ("classes", classes), ("epochs", epochs)):
        write_text(out / f"tables/pooled_{name}.md", tabulate([*runs["pooled"], *runs["retrained"]]))
    write_text(out / "tables/missing.md", missing([run for section in runs.values() for run in section]))
    of_the_paper = [results / folder for folder in OF_THE_PAPERS_TABLES]
    chosen = [run for members in runs.values() for run in members if {*run.path.parents} & {*of_the_paper}]
    write_tables(chosen, out / "tables", further=of_the_study(), page=False)


def of_the_study() -> list[Finding]:
    """What `studies/paper_claims` says about the claims that no cell of the paper's tables tests."""
    return claims_of(read_rows(RESULTS.parent / "studies/paper_claims/result.csv"))


def leaderboard(runs: Sequence[Run], results: Path) -> tuple[list[str], list[dict[str, Any]]]:
    """The columns of ``runs.csv``, and a row for each run."""
    rows = [_row(run, run.summary, results) for run in runs if run.summary is not None]
    return list(rows[0]), rows


def _row(run: Run, summary: dict[str, Any], results: Path) -> dict[str, Any]:
    dataset, network, family = run.kind
    return {
        "data": dataset,
        "network": network,
        "family": family,
        "seed": run.seed,
        "epochs": summary["epochs"],
        "accuracy": summary["test_accuracy"],
        "best": summary["best_test_accuracy"],
        "train_accuracy": summary["train_accuracy"],
        "seconds": summary["seconds"],
        "precision": run.config.precision,
        "hardware": hardware_of(run),
        "version": summary["versions"]["conductance"],
        "commit": summary["git_commit"],
        "recipe": recipe_of(run.settings, Cell(dataset, network, family, paper=float("nan")))[0],
        "command": summary["command"],
        "folder": run.path.relative_to(results).as_posix(),
    }


def table(section: Path, runs: Sequence[Run]) -> str:
    """The runs of a section in Markdown: one row for each configuration, named by its subfolder if there is one."""
    rows = [(change, row) for change, members in _by_subfolder(section, runs) for row in summarize(members)]
    columns = [_of_row(column) for column in COLUMNS]
    if any(change for change, _ in rows):
        columns.insert(0, Column("Folder", lambda pair: pair[0]))
    note = note_below([row for _, row in rows])
    text = markdown_of(columns, rows)
    return f"{text}\n{note}\n" if note else text


POOLED = "cwa · pooled"
SHOWN = {
    "cwa": "conductances (CWA)",
    POOLED: "with a pooled interneuron",
    "affine": "affine",
    "affine_bn": "affine + BatchNorm",
}


def overview(runs: Sequence[Run], pooled: Sequence[Run]) -> str:
    """A row for each data set and network: test accuracy of the families that compare best, and the paper's for CWA.

    Args:
        runs: of the presets, by version 0.1.
        pooled: among them those of presets with a pooled interneuron, by this version.
    """
    cells = {(row.dataset, row.architecture, row.family): row for row in summarize(runs)}
    cells |= {(row.dataset, row.architecture, row.label): row for row in summarize(pooled) if row.label == POOLED}
    papers = {(cell.dataset, cell.architecture, cell.family): cell.paper for table in TABLES.values() for cell in table}
    shown = {family: words for family, words in SHOWN.items() if any(family == kind for *_, kind in cells)}
    rows = []
    for dataset, network in dict.fromkeys((dataset, network) for dataset, network, _ in cells):
        here = [cells.get((dataset, network, family)) for family in shown]
        accuracies = [NOTHING if row is None else with_spread(row.test_accuracy, row.test_accuracy_std) for row in here]
        rows.append([dataset, network, *accuracies, percent(papers.get((dataset, network, "cwa")))])
    headings = ["Data", "Network", *shown.values(), "CWA in the paper"]
    return markdown_lines(headings, [False, False, *[True] * (len(shown) + 1)], rows)


def _of_row(column: Column[Row]) -> Column[tuple[str, Row]]:
    return Column(column.heading, lambda pair: column.text(pair[1]), column.numeric)


def _by_subfolder(section: Path, runs: Sequence[Run]) -> Iterator[tuple[str, list[Run]]]:
    folders = dict.fromkeys(run.path.parent.relative_to(section).as_posix() for run in runs)
    for folder in folders:
        yield folder.removeprefix("."), [run for run in runs if run.path.parent == section / folder]


if __name__ == "__main__":
    main()
