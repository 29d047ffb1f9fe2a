"""Do the paper's remarks about training hold: clipped pixels, wider kernels, resting potentials, a start at zero?

CIFAR-10, the CNN of the preset with one change, 15,000 training images, 5 epochs, three seeds. Networks are judged on
5,000 other training images, and their answers are kept; no test image is seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import nn

from conductance import init
from conductance.files import write_text
from conductance.presets.named import get_preset
from conductance.runs import RunConfig
from studies.paper_claims.table import table
from studies.shared import changes
from studies.shared.folder import folder_of
from studies.shared.growing import measure_study, read_rows
from studies.shared.packing import packed
from studies.shared.short import train_shortly

FOLDER = folder_of(__file__)
EPOCHS = 5
SEEDS = 3

FIXED = partial(changes.conductance, learn_resting=False, resting_conductance=1.0)
ZERO = "all g at 0"
CHANGES: dict[str, changes.Change] = {
    "none": changes.unchanged,
    "pixels clipped at 0": changes.data(preprocessing="scaled"),
    "5x5 kernels": changes.model(kernel=5),
    "leak fixed, resting potential 0": FIXED(resting_potential=0.0),
    "leak fixed, resting potential -0.4": FIXED(resting_potential=-0.4),
    ZERO: changes.conductance(nonnegative="rectified"),
}


@dataclass(frozen=True)
class Case:
    """One run."""

    change: str
    seed: int


def cases() -> list[Case]:
    """All runs, seed by seed."""
    return [Case(change, seed) for seed in range(SEEDS) for change in CHANGES]


def config_of(case: Case) -> RunConfig:
    """The preset with few epochs and one change."""
    return CHANGES[case.change](replace(get_preset("cifar10-cnn-cwa"), epochs=EPOCHS, seed=case.seed))


def at_zero(network: nn.Module) -> None:
    """All parameters g at 0, so that G = max(1 + g, 0) is 1 for every synapse."""
    for layer in init.conductance_layers(network):
        layer.set_conductance(torch.ones_like(layer.g))


def train(case: Case) -> dict[str, float | str]:
    """One run.

    Returns:
        accuracies of the last epoch in %, and which images that were held out are answered right.
    """
    accuracies, correct = train_shortly(config_of(case), start=at_zero if case.change == ZERO else None)
    return {**accuracies, "correct": packed(np.asarray(correct))}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is missing, and write the table of what there is."""
    chosen = FOLDER.parser(__doc__, seeds=SEEDS).parse_args(arguments)
    wanted = [case for case in cases() if case.seed < chosen.seeds]
    measure_study(FOLDER, wanted, train)
    if rows := read_rows(FOLDER.result):
        write_text(FOLDER.table, table(rows))
