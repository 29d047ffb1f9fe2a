"""What has not been measured and lacks nothing but computing: runs and studies, with the command of each."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from importlib import import_module
from pathlib import Path
from statistics import fmean

from conductance.presets import get_preset
from conductance.report.table import NOTHING, duration, markdown_lines
from conductance.reproduction.paper import select_cells
from conductance.reproduction.recipes import get_recipe
from conductance.runs import Run
from studies.ablation.measure import ABLATION, POOLED
from studies.shared.growing import read_rows

STUDIES = ("paper_claims", "gap_inside", "pooled", "one_recipe", "ideas")
SEEDS = 3
ABLATION_SEEDS = 2
SECTION = "pooled"
"""Where runs with a pooled interneuron lie, and those that they are compared with."""
ALSO = "retrained"
"""Where others of this version lie."""


@dataclass(frozen=True)
class Wanted:
    """A preset to be trained by all seeds, for its own number of epochs or another."""

    preset: str
    epochs: int | None = None

    @property
    def name(self) -> str:
        """Of its runs: longer ones have names of their own."""
        return self.preset if self.epochs is None else f"{self.preset}-{self.epochs}"

    @property
    def whole(self) -> int:
        """Epochs of each run."""
        return self.epochs or get_preset(self.preset).epochs

    def is_met_by(self, run: Run) -> bool:
        """Whether a run is one of these, whatever it is called."""
        config = replace(get_preset(self.preset), epochs=self.whole)
        return run.config == replace(config, name=run.config.name, seed=run.config.seed)

    @property
    def command(self) -> str:
        """Trains seed K."""
        other = "" if self.epochs is None else f"--epochs {self.epochs} --name {self.name} "
        return f"conductance train {self.preset} --seed K {other}--out results/{SECTION}/{self.name}-seedK"


LETTER_EPOCHS = 50
BY_THE_LETTER = ("mnist-cnn-cwa", "cifar10-cnn-cwa")
"""Cells in which the paper's own recipe can learn."""

KINDS = ("cwa", "cwa-pooled", "affine_bn", "absnorm", "absnorm-pooled", "affine")
WANTED = (
    *(Wanted(f"cifar10-cnn-{kind}") for kind in KINDS),
    *(Wanted(f"cifar10-fcn-{kind}") for kind in KINDS),
    *(Wanted(f"mnist-{network}-{kind}") for network in ("cnn", "fcn") for kind in KINDS[:3]),
    *(Wanted(f"cifar10-cnn-{kind}", epochs) for epochs in (60, 120) for kind in KINDS[1:3]),
    *(Wanted(f"cifar10-resnet18-{kind}") for kind in (*KINDS[:3], "affine")),
    *(Wanted(f"mnist-resnet18-{kind}", 10) for kind in KINDS[:3]),
)


def missing(runs: Sequence[Run]) -> str:
    """A row for each preset and study that lacks runs: how many, how long they take, and the command.

    Times are those of finished runs of the same data, network and family on one or two threads of a CPU, by epoch.

    Args:
        runs: all that are checked in.
    """
    finished = [run for run in runs if run.finished]
    rows = [*_runs(finished), *_by_the_letter(finished), *_studies(), *_ablation()]
    headings = ("Missing", "Seeds or runs", "Time of one", "Command")
    return markdown_lines(headings, (False, True, True, False), rows)


def _runs(finished: Sequence[Run]) -> Iterator[list[str]]:
    for wanted in WANTED:
        here = [run for run in finished if {SECTION, ALSO} & {*Path(run.path).parts} and run.predictions is not None]
        own = {run.seed for run in here if wanted.is_met_by(run)}
        left = [str(seed) for seed in range(SEEDS) if seed not in own]
        if left:
            time = _time(finished, wanted.preset, wanted.whole)
            yield [f"{wanted.name}, {wanted.whole} epochs", ", ".join(left), time, wanted.command]


def _by_the_letter(finished: Sequence[Run]) -> Iterator[list[str]]:
    for cell in BY_THE_LETTER:
        name = get_recipe("paper").config(select_cells("table1", [cell])[0]).name
        if not any(run.settings["name"] == name and len(run.epochs) >= LETTER_EPOCHS for run in finished):
            options = f"--recipe paper --cells {cell} --seeds 1 --epochs {LETTER_EPOCHS} --out results/short"
            time = _time(finished, cell, LETTER_EPOCHS)
            yield [f"{name}, {LETTER_EPOCHS} epochs", "0", time, f"conductance reproduce table1 {options}"]


def _time(finished: Sequence[Run], preset: str, epochs: int) -> str:
    """Of one run, by the epochs of finished ones of the same data, network and family."""
    config = get_preset(preset)
    kind = config.data.dataset, config.model.architecture, config.model.family
    by_epoch = [run.summary["seconds"] / run.summary["epochs"] for run in finished if run.kind == kind and run.summary]
    return duration(fmean(by_epoch) * epochs) if by_epoch else NOTHING


def _studies() -> Iterator[list[str]]:
    for name in STUDIES:
        study = import_module(f"studies.{name}.measure")
        rows = read_rows(study.FOLDER.result)
        cases = study.cases()
        left = [case for case in cases if not any(_as_text(case) <= row.items() for row in rows)]
        seconds = [float(row["seconds"]) for row in rows if row.get("seconds")]
        if left:
            time = duration(fmean(seconds)) if seconds else NOTHING
            yield [f"studies/{name}", f"{len(left)} of {len(cases)}", time, study.FOLDER.command]


def _ablation() -> Iterator[list[str]]:
    """Of the ablation, which is older, the change that it lacks."""
    cases = [case for case in ABLATION.cases if case[-1] == POOLED]
    measured = ABLATION.accuracies()
    left = [case for case in cases if len(measured.get(case, [])) < ABLATION_SEEDS]
    if left:
        runs = f"{len(left) * ABLATION_SEEDS} of {len(cases) * ABLATION_SEEDS}"
        yield [f"studies/ablation, {POOLED}", runs, NOTHING, f"python -m studies ablation --only '{POOLED}'"]


def _as_text(case: object) -> set[tuple[str, str]]:
    return {(name, str(value)) for name, value in asdict(case).items()}  # type: ignore[call-overload]
