"""Which valences should the units of a network have: how many excite, how many values are there, and are they learned?

Small networks, a few thousand images of MNIST and CIFAR-10. All conditions learn from the same images and are compared
on the same test images, seed by seed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from conductance.files import write_text
from studies.shared import lines
from studies.shared.few_images import few_images
from studies.shared.folder import folder_of
from studies.shared.growing import measure_and_show, read_rows
from studies.shared.learning import judge, learn
from studies.valence.figure import valence_figure
from studies.valence.networks import build

FOLDER = folder_of(__file__)

IMAGES, EPOCHS, BATCH, SEEDS = 3000, 5, 50, 5
REFERENCE = "50:50"
CONDITIONS = (
    *(f"{share}:{100 - share}" for share in (50, 65, 80, 90, 95)),
    "50:25:25 of 1, -0.5, -1",
    "25:25:25:25 of 1, 0.5, -0.5, -1",
    "graded",
    "80:20 of 1, -0.4",
    "80:15:5 of 1, -0.4, -0.8",
    "learned from 50:50",
    "learned from graded",
)
DATA = ("mnist", "cifar10")
NETWORKS = ("FCN", "CNN")
PLACES = ("network", "data")


@dataclass(frozen=True)
class Case:
    """One run."""

    network: str
    data: str
    condition: str
    seed: int


def cases(seeds: int) -> list[Case]:
    """All runs, seed by seed."""
    return [
        Case(network, data, condition, seed)
        for seed in range(seeds)
        for network in NETWORKS
        for data in DATA
        for condition in CONDITIONS
    ]


def train(case: Case, data_dir: Path | None = None) -> Mapping[str, float | str]:
    """One run: accuracies in %, and which test images are right."""
    images = few_images(case.data, IMAGES, case.seed, data_dir)
    torch.manual_seed(case.seed)
    network = build(case.network, images.test.inputs.shape[1:], case.condition)
    learn(network, images.learned, epochs=EPOCHS, batch=BATCH)
    return judge(network, images.validation, images.test)


def show() -> None:
    """Write the table and the figure of what has been measured."""
    found = lines.lines(read_rows(FOLDER.result), PLACES, "condition", REFERENCE)
    write_text(FOLDER.table, lines.table(found, ("Network", "Data"), "Valences"))
    write_text(FOLDER.figure, valence_figure(found, REFERENCE))


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is missing, on one thread, and show what there is."""
    measure_and_show(FOLDER, cases, train, show, seeds=SEEDS, description=__doc__, arguments=arguments)
