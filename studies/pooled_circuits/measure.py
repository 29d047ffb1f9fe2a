"""What is a pooled interneuron worth in a circuit: at once, a slice later or synaptic, and does it pay for Dale's law?

Two layers of 144 and 72 neurons on 2,000 images of MNIST, beside networks whose neurons may excite and inhibit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from conductance.files import write_text
from conductance.optim import create_optimizer
from studies.pooled_circuits.circuits import AFFINE, CONDITIONS, NONE, build
from studies.pooled_circuits.figure import pooled_circuits_figure
from studies.shared import lines
from studies.shared.few_images import few_images
from studies.shared.folder import folder_of
from studies.shared.growing import measure_study, read_rows
from studies.shared.learning import judge, learn

FOLDER = folder_of(__file__)

IMAGES, EPOCHS, BATCH, SEEDS = 2000, 5, 50, 5
DEFAULT = "default"
STEPS = ("0.001", "0.003", "0.01", "0.03")
"""Of Adam for the affine network; one is chosen by validation accuracy with the first seed."""
Row = Mapping[str, str]


@dataclass(frozen=True)
class Case:
    """One run."""

    condition: str
    step: str
    seed: int


def choices() -> list[Case]:
    """The runs by which the affine network's step is chosen."""
    return [Case(AFFINE, step, 0) for step in STEPS]


def chosen(rows: Sequence[Row]) -> str | None:
    """The step of the highest validation accuracy with the first seed; None before all have been measured."""
    found = {row["step"]: float(row["validation"]) for row in rows if (row["condition"], row["seed"]) == (AFFINE, "0")}
    return max(found, key=found.__getitem__) if found.keys() >= set(STEPS) else None


def cases(seeds: int, step: str) -> list[Case]:
    """All runs, seed by seed, with the step that was chosen for the affine network."""
    return [
        Case(condition, step if condition == AFFINE else DEFAULT, seed)
        for seed in range(seeds)
        for condition in CONDITIONS
    ]


def reported(rows: Sequence[Row]) -> list[Row]:
    """The rows of the chosen step, condition by condition."""
    kept = [row for row in rows if row["step"] in (DEFAULT, chosen(rows))]
    return sorted(kept, key=lambda row: CONDITIONS.index(row["condition"]))


def train(case: Case, data_dir: Path | None = None) -> Mapping[str, float | str]:
    """One run: accuracies in %, and which test images are right."""
    images = few_images("mnist", IMAGES, case.seed, data_dir).each(lambda pixels: pixels.squeeze(1))
    torch.manual_seed(case.seed)
    network = build(case.condition)

    def adam(network: torch.nn.Module) -> torch.optim.Optimizer:
        return torch.optim.Adam(network.parameters(), float(case.step))

    make = create_optimizer if case.step == DEFAULT else adam
    learn(network, images.learned, epochs=EPOCHS, batch=BATCH, make=make)
    return judge(network, images.validation, images.test)


def show() -> None:
    """Write the table and the figure of what has been measured."""
    found = lines.lines(reported(read_rows(FOLDER.result)), (), "condition", NONE)
    write_text(FOLDER.table, lines.table(found, (), "Interneuron"))
    write_text(FOLDER.figure, pooled_circuits_figure(found, NONE))


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is missing, on one thread, and show what there is."""
    options = FOLDER.parser(__doc__, seeds=SEEDS, reads_data=True).parse_args(arguments)

    def measure(cases: list[Case]) -> None:
        measure_study(FOLDER, cases, lambda case: train(case, options.data_dir))

    if options.seeds:
        measure(choices())
        step = chosen(read_rows(FOLDER.result))
        assert step is not None  # all steps have been measured
        measure(cases(options.seeds, step))
    if read_rows(FOLDER.result):
        show()
