"""A study that trains many networks and judges each by its accuracy on images held out: a row for each run.

A run lies in a folder of its own while it is trained, and goes on where it was cut off. Its row is written when it
ends, so that a study can be measured a few runs at a time, by several people, seed after seed. What has a row is not
trained again.
"""

import csv
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from rich.console import Console

from conductance.files import write_table, write_text
from conductance.report.rows import spread
from conductance.report.table import markdown_lines, with_spread
from conductance.runs import RunConfig
from conductance.runs.names import run_folder_name
from conductance.runs.provenance import git_commit
from conductance.training import NonFiniteLossError, train
from studies.shared.folder import StudyFolder

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
class Comparison:
    """What is compared.

    Attributes:
        cases: in the order of the result.
        config: the run of one case and seed; it holds out validation images.
        folder: of the study; its result has `COLUMNS`: ``validation`` is the accuracy in % on the images held out.
        unchanged: the change that all others are compared with.
        words: what a page calls a change, where its name is short.
        within: a context for each case, in which its network is trained.
    """

    cases: Sequence[Case]
    config: Callable[[Case, int], RunConfig]
    folder: StudyFolder
    unchanged: str = "none"
    words: Mapping[str, str] = field(default_factory=dict)
    within: Callable[[Case], AbstractContextManager[Any]] = nullcontext

    def run_folder(self, config: RunConfig) -> Path:
        """Where a run lies while it is trained, by its name and seed."""
        return self.folder.runs / run_folder_name(config.name, config.seed).replace(" ", "-").replace(",", "")

    def train_missing(self, seeds: int, cases: Sequence[Case], console: Console) -> list[str]:
        """Train those of these cases that have no row yet, seed after seed.

        Returns:
            Which of them diverged, and the error of each.
        """
        failures: list[str] = []
        for seed in range(seeds):
            for case in cases:
                if (*case, str(seed)) not in map(_key, self.rows()):
                    try:
                        self._train(case, seed, console)
                    except NonFiniteLossError as error:  # a change may do that, and the other cases still run
                        failures.append(f"{', '.join(case)}, seed {seed}: {error}")
                        console.print(failures[-1], markup=False)
        return failures

    def _train(self, case: Case, seed: int, console: Console) -> None:
        config = self.config(case, seed)
        folder = self.run_folder(config)
        with self.within(case):
            summary = train(config, folder, resume=folder.exists(), console=console, command=self.folder.command)
        rows = [*self.rows(), _row(case, summary, self.folder.command)]
        write_table(self.folder.result, list(COLUMNS), sorted(rows, key=self._place))

    def rows(self) -> list[dict[str, Any]]:
        """All rows that have been measured."""
        if not self.folder.result.exists():
            return []
        with self.folder.result.open(newline="") as lines:
            return list(csv.DictReader(lines))

    def accuracies(self) -> dict[Case, list[float]]:
        """The validation accuracies of each case, seed by seed."""
        found: dict[Case, list[float]] = {}
        for row in self.rows():
            found.setdefault((row["architecture"], row["family"], row["change"]), []).append(float(row["validation"]))
        return found

    def difference(self, case: Case) -> float | None:
        """How much more accurate than the unchanged network of its kind a case is, in points; None if unknown."""
        architecture, family, _ = case
        measured = self.accuracies()
        unchanged = measured.get((architecture, family, self.unchanged))
        return fmean(measured[case]) - fmean(unchanged) if unchanged and case in measured else None

    def markdown(self) -> str:
        """A Markdown table, a line for each case: its mean accuracy, standard deviation over seeds, and difference."""
        cells = []
        for case, values in self.accuracies().items():
            architecture, family, change = case
            difference = self.difference(case) if change != self.unchanged else None
            gained = "" if difference is None else f"{round(difference, 2) + 0.0:+.2f}"  # never -0.00
            named, mean = self.words.get(change, change), with_spread(fmean(values), spread(values))
            cells.append([architecture, family, named, mean, gained, str(len(values))])
        headings = ("Network", "Family", "Change", "Validation %", "Difference", "Seeds")
        return markdown_lines(headings, (False, False, False, True, True, True), cells)

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


def command_line(
    comparison: Comparison,
    description: str | None,
    arguments: Sequence[str] | None = None,
    *,
    seeds: int = 2,
) -> str | None:
    """Train what is missing, by ``--seeds N``, ``--networks NAME ...`` and ``--only CHANGE ...``; write the table.

    Returns:
        For ``sys.exit``: None, or which runs ended without a row.
    """
    networks, _, changes = (list(dict.fromkeys(names)) for names in zip(*comparison.cases, strict=True))
    parser = comparison.folder.parser(description)
    parser.add_argument("--seeds", type=int, default=seeds, help=f"0, 1, ...; 0 seeds train nothing (default: {seeds})")
    parser.add_argument("--networks", nargs="+", default=networks, choices=networks, help="train these alone")
    parser.add_argument(
        "--only", nargs="+", default=changes, choices=changes, metavar="CHANGE", help="train these changes alone"
    )
    choices = parser.parse_args(arguments)
    cases = [case for case in comparison.cases if case[0] in choices.networks and case[2] in choices.only]
    failures = comparison.train_missing(choices.seeds, cases, Console())
    if comparison.folder.result.exists():
        write_text(comparison.folder.table, comparison.markdown())
    return "no row of: " + "; ".join(failures) if failures else None
