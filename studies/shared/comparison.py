"""Many short runs that make one table, a row for each run; what the table has is not trained again.

A run lies in a folder of its own while it is trained, and goes on where it was cut off. Its row is written when it
ends, so that a study may be measured a few runs at a time, by several people, seed after seed.
"""

import argparse
import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from rich.console import Console

from conductance.files import write_table
from conductance.report.rows import spread
from conductance.report.table import markdown_lines, with_spread
from conductance.runs import RunConfig
from conductance.runs.fields import run_folder_name
from conductance.runs.provenance import git_commit
from conductance.training import NonFiniteLossError, train

Case = tuple[str, str, str]
"""Architecture, family and what is changed."""

COLUMNS = (
    "architecture",
    "family",
    "change",
    "seed",
    "epochs",
    "validation",
    "seconds",
    "hardware",
    "commit",
    "command",
)


@dataclass(frozen=True)
class Study:
    """What is compared.

    Attributes:
        cases: in the order of the table.
        config: the run of one case and seed; it holds out validation images.
        runs: the folder of all runs.
        table: the CSV, with `COLUMNS`: ``validation`` is the accuracy in % on the images held out.
        command: that makes the table.
    """

    cases: Sequence[Case]
    config: Callable[[Case, int], RunConfig]
    runs: Path
    table: Path
    command: str

    def folder(self, config: RunConfig) -> Path:
        """Where a run lies: below ``runs``, by its name and seed."""
        return self.runs / run_folder_name(config.name, config.seed).replace(" ", "-").replace(",", "")

    def train_missing(self, seeds: int, cases: Sequence[Case], console: Console) -> list[str]:
        """Train what the table has not got of these cases, seed after seed.

        Returns:
            Which of them diverged, and what was said.
        """
        failures: list[str] = []
        for seed in range(seeds):
            for case in cases:
                if (*case, str(seed)) not in map(_key, self.rows()):
                    try:
                        self._train(case, seed, console)
                    except NonFiniteLossError as error:  # a lever may do that, and the others wait
                        failures.append(f"{', '.join(case)}, seed {seed}: {error}")
                        console.print(failures[-1], markup=False)
        return failures

    def _train(self, case: Case, seed: int, console: Console) -> None:
        config = self.config(case, seed)
        folder = self.folder(config)
        summary = train(config, folder, resume=folder.exists(), console=console, command=self.command)
        rows = [*self.rows(), _row(case, summary, self.command)]
        write_table(self.table, list(COLUMNS), sorted(rows, key=self._place))

    def rows(self) -> list[dict[str, Any]]:
        """What has been measured, wherever it was."""
        if not self.table.exists():
            return []
        with self.table.open(newline="") as lines:
            return list(csv.DictReader(lines))

    def _place(self, row: Mapping[str, Any]) -> tuple[int, int]:
        *case, seed = _key(row)
        known = list(map(list, self.cases))
        return (known.index(case) if case in known else len(known)), int(seed)


def judged(config: RunConfig, change: str, seed: int, validation_images: int) -> RunConfig:
    """A case's run: named after its change too, and judged on training images that it holds out."""
    data = replace(config.data, validation_images=validation_images)
    return replace(config, name=f"{config.name} {change}", seed=seed, data=data)


def _key(row: Mapping[str, Any]) -> tuple[str, ...]:
    return row["architecture"], row["family"], row["change"], str(row["seed"])


def _row(case: Case, summary: dict[str, Any], command: str) -> dict[str, Any]:
    return {
        **dict(zip(COLUMNS, case, strict=False)),
        "seed": summary["seed"],
        "epochs": summary["epochs"],
        "validation": round(summary["validation_accuracy"], 2),
        "seconds": round(summary["seconds"], 1),
        "hardware": "{cpu}, {threads} threads".format(**summary["hardware"]),
        "commit": summary["git_commit"] or git_commit(),
        "command": command,
    }


def markdown_means(rows: Sequence[Mapping[str, Any]]) -> str:
    """A row for each case: mean and standard deviation of the validation accuracy over its seeds, in %."""
    accuracies: dict[tuple[str, ...], list[float]] = {}
    for row in rows:
        accuracies.setdefault(_key(row)[:-1], []).append(float(row["validation"]))
    cells = [
        [*case, with_spread(fmean(values), spread(values)), str(len(values))] for case, values in accuracies.items()
    ]
    headings = ("Network", "Family", "Change", "Validation %", "Seeds")
    return markdown_lines(headings, (False, False, False, True, True), cells)


def command_line(
    study: Study, description: str | None, arguments: Sequence[str] | None = None, seeds: int = 2
) -> str | None:
    """``--seeds N``, ``--networks NAME ...`` and ``--only CHANGE ...``: train what is missing; each run's row is in the
    table when it ends.

    Returns:
        For ``sys.exit``: None, or which runs ended without a row.
    """
    networks, _, changes = (list(dict.fromkeys(names)) for names in zip(*study.cases, strict=True))
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--seeds", type=int, default=seeds, help=f"0, 1, ...; 0 seeds train nothing (default: {seeds})")
    parser.add_argument("--networks", nargs="+", default=networks, choices=networks, help="train these alone")
    parser.add_argument(
        "--only", nargs="+", default=changes, choices=changes, metavar="CHANGE", help="train these rows alone"
    )
    choices = parser.parse_args(arguments)
    cases = [case for case in study.cases if case[0] in choices.networks and case[2] in choices.only]
    failures = study.train_missing(choices.seeds, cases, Console())
    return "no row of: " + "; ".join(failures) if failures else None
