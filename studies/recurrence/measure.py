"""How well does a recurrent conductance layer learn sequences, beside torch's layers and a Dale-constrained RNN?

Digits row by row, permuted, and pixel by pixel; a decision about noisy evidence after a delay. All networks have as
many parameters. Steps and time constants are chosen on validation samples, with the first seed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from conductance.files import write_text
from studies.recurrence.figure import recurrence_figure
from studies.recurrence.networks import SETTINGS, build, parameters
from studies.recurrence.tasks import TASKS
from studies.shared import lines
from studies.shared.folder import folder_of
from studies.shared.growing import measure_study, read_rows
from studies.shared.learning import is_right, judge, learn, percent

FOLDER = folder_of(__file__)

SEEDS = 5
REFERENCE = "GRU"
CHOSEN_BY = {"rows": "rows", "permuted rows": "rows", "decision": "decision", "pixels": "rows"} | {
    "rows, 50,000 images": "rows"
}
"""The task on which a task's settings are chosen."""
Row = dict[str, str]


@dataclass(frozen=True)
class Case:
    """One run."""

    task: str
    network: str
    setting: str
    seed: int


def train(case: Case, data_dir: Path | None = None) -> Mapping[str, float | str]:
    """One run: accuracies in %, and which test samples are right."""
    task = TASKS[case.task]
    samples = task.samples(case.seed, data_dir)
    torch.manual_seed(case.seed)
    network, optimizer = build(case.network, case.setting, task)
    answers = None if task.stretch is None else network.answers
    learn(network, samples.learned, epochs=task.epochs, batch=task.batch, make=optimizer, clip=1.0, answers=answers)
    learned = percent(is_right(network, samples.learned.first(2000)))
    return {"parameters": parameters(network), "training": learned, **judge(network, samples.validation, samples.test)}


def choices(task: str) -> list[Case]:
    """The runs by which settings are chosen."""
    return [Case(task, network, setting, 0) for network, known in SETTINGS.items() for setting in known]


def chosen(rows: Sequence[Row], task: str, network: str) -> str | None:
    """The setting with the highest validation accuracy of the first seed; None before all have been measured."""
    on = CHOSEN_BY[task]
    found = {
        row["setting"]: float(row["validation"])
        for row in rows
        if (row["task"], row["network"], row["seed"]) == (on, network, "0")
    }
    return max(found, key=found.__getitem__) if found.keys() >= SETTINGS[network].keys() else None


def reported(rows: Sequence[Row]) -> list[Row]:
    """The rows of chosen settings, task by task."""
    return [
        row
        for task in TASKS
        for row in rows
        if row["task"] == task and row["setting"] == chosen(rows, task, row["network"])
    ]


def show() -> None:
    """Write the table and the figure of what has been measured."""
    found = lines.lines(reported(read_rows(FOLDER.result)), ("task",), "network", REFERENCE)
    write_text(FOLDER.table, lines.table(found, ("Task",), "Network"))
    write_text(FOLDER.figure, recurrence_figure(found, REFERENCE))


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is missing, on one thread, and show what there is."""
    parser = FOLDER.parser(__doc__, seeds=SEEDS, reads_data=True)
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=list(TASKS), help="these alone")
    parser.add_argument("--networks", nargs="+", default=list(SETTINGS), choices=list(SETTINGS), help="these alone")
    options = parser.parse_args(arguments)

    def measure(cases: list[Case]) -> None:
        measure_study(FOLDER, cases, lambda case: train(case, options.data_dir))

    if options.seeds:
        for task in dict.fromkeys(CHOSEN_BY[task] for task in options.tasks):
            measure(choices(task))
        settings = read_rows(FOLDER.result)
        measure(
            [
                Case(task, network, setting, seed)
                for seed in range(options.seeds)
                for task in options.tasks
                for network in options.networks
                if (setting := chosen(settings, task, network)) is not None
            ]
        )
    if read_rows(FOLDER.result):
        show()
