"""Which connectivity helps, and do conductance networks need many synapses for each unit?

A layer of 144 neurons on 2,000 images of MNIST: dense, with interneurons, recurrent, sparse, local. Then layers of
about 50,000 synapses in all, of which each unit has few or many, beside affine ones.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console
from torch import nn

from conductance.files import write_text
from conductance.optim import create_optimizer
from studies.connectivity.circuits import CIRCUITS, FAN_INS, by_fan_in, circuit
from studies.connectivity.figure import connectivity_figure
from studies.shared import lines
from studies.shared.few_images import few_images
from studies.shared.folder import folder_of
from studies.shared.growing import measure_missing, read_rows
from studies.shared.learning import judge, learn

FOLDER = folder_of(__file__)

IMAGES, EPOCHS, BATCH, SEEDS = 2000, 5, 50, 5
AFFINE_STEP = 1e-3  # of Adam
CIRCUIT = "circuit"
FAMILIES = {"conductances, fan-in": "conductance", "affine, fan-in": "affine"}
COLUMNS = ("part", "condition", "seed", "validation", "test", "seconds", "commit", "command", "right")
REFERENCES = {CIRCUIT: "dense", **{part: str(FAN_INS[-1]) for part in FAMILIES}}


@dataclass(frozen=True)
class Case:
    """One run."""

    part: str
    condition: str
    seed: int


def cases(seeds: int) -> list[Case]:
    """All runs, seed by seed."""
    found = []
    for seed in range(seeds):
        found += [Case(CIRCUIT, name, seed) for name in CIRCUITS]
        found += [Case(part, str(fan_in), seed) for part in FAMILIES for fan_in in FAN_INS]
    return found


def train(case: Case, data_dir: Path | None = None) -> Mapping[str, float | str]:
    """One run: accuracies in %, and which test images are right."""
    images = few_images("mnist", IMAGES, case.seed, data_dir).each(lambda pixels: pixels.squeeze(1))
    torch.manual_seed(case.seed)
    network = circuit(case.condition) if case.part == CIRCUIT else by_fan_in(FAMILIES[case.part], int(case.condition))
    learn(
        network, images.learned, epochs=EPOCHS, batch=BATCH, make=_adam if "affine" in case.part else create_optimizer
    )
    return judge(network, images.validation, images.test)


def _adam(network: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.Adam(network.parameters(), AFFINE_STEP)


def show() -> None:
    """Write the table and the figure of what has been measured."""
    rows = read_rows(FOLDER.result)
    found = [
        line
        for part, reference in REFERENCES.items()
        for line in lines.lines([row for row in rows if row["part"] == part], ("part",), "condition", reference)
    ]
    write_text(FOLDER.table, lines.table(found, ("Part",), "Condition"))
    write_text(FOLDER.figure, connectivity_figure(found))


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is missing, on one thread, and show what there is."""
    parser = FOLDER.parser(__doc__)
    parser.add_argument("--seeds", type=int, default=SEEDS, help="how many; 0 train nothing (default: %(default)s)")
    parser.add_argument("--data-dir", type=Path, help="where the data sets lie")
    choices = parser.parse_args(arguments)
    measure_missing(
        FOLDER.result,
        COLUMNS,
        cases(choices.seeds),
        lambda case: train(case, choices.data_dir),
        command=FOLDER.command,
        console=Console(),
    )
    if read_rows(FOLDER.result):
        show()
