"""Do further ideas help a network with pooled interneurons: averaged weights, larger blocks, Shampoo?

CIFAR-10, the CNN of the preset with a pooled interneuron and one change, 15,000 training images, 5 epochs, three seeds.
Networks are judged on 5,000 other training images, and their answers are kept; no test image is seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from conductance.files import write_text
from conductance.presets.named import get_preset
from conductance.runs import RunConfig
from studies.ideas.shampoo import shampoo
from studies.ideas.table import table
from studies.shared import changes
from studies.shared.answers import packed
from studies.shared.folder import folder_of
from studies.shared.growing import measure_study, read_rows
from studies.shared.short import short_trainer

FOLDER = folder_of(__file__)
EPOCHS = 5
SEEDS = 3
COLUMNS = (
    "change", "seed", "validation", "training", "mirrored", "correct", "seconds", "commit", "command"
)  # fmt: skip

CHANGES: dict[str, changes.Change] = {
    "none": changes.unchanged,
    "weights averaged over 50 steps": changes.optimizer(weight_average=0.98),
    "weights averaged over 200 steps": changes.optimizer(weight_average=0.995),
    "blocks of 128 units": changes.optimizer(block=128),
    "learned gates": changes.conductance(learn_gate=True),
    "four excitatory units to one": changes.conductance(excitatory_share=0.8),
    "no twins": changes.conductance(twin=False),
    "no label smoothing": changes.optimizer(label_smoothing=0.0),
    "batches of 60": changes.data(batch_size=60),
    "shifts by up to 2 pixels": changes.data(max_shift=2),
}
SHAMPOO = {f"Shampoo instead of Muon, step {step}": step for step in (0.1, 0.3, 1.0)}


@dataclass(frozen=True)
class Case:
    """One run."""

    change: str
    seed: int


def cases() -> list[Case]:
    """All runs, seed by seed."""
    return [Case(change, seed) for seed in range(SEEDS) for change in (*CHANGES, *SHAMPOO)]


def config_of(case: Case) -> RunConfig:
    """The preset with few epochs and one change."""
    change = CHANGES.get(case.change, changes.unchanged)
    return change(replace(get_preset("cifar10-cnn-cwa-pooled"), epochs=EPOCHS, seed=case.seed))


def train(case: Case) -> dict[str, float | str]:
    """One run.

    Returns:
        accuracies of the last epoch in %; ``mirrored`` is that of the mean of the answers to an image and to its mirror
        image; and which images that were held out are answered right (without mirrors).
    """
    optimizer = partial(shampoo, step=SHAMPOO[case.change]) if case.change in SHAMPOO else None
    trainer, _, held_out = short_trainer(config_of(case), optimizer=optimizer)
    last = trainer.fit()[-1]
    answers = trainer.predict(held_out)
    mirrored = trainer.predict(replace(held_out, pixels=held_out.pixels.flip(-1)))
    both = (answers.softmax(1) + mirrored.softmax(1)).argmax(1) == held_out.labels
    return {
        "validation": round(last["validation_accuracy"], 2),
        "training": round(last["train_accuracy"], 2),
        "mirrored": round(100 * float(both.float().mean()), 2),
        "correct": packed(np.asarray(answers.argmax(1) == held_out.labels)),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is missing, and write the table of what there is."""
    parser = FOLDER.parser(__doc__, seeds=SEEDS)
    every = [*CHANGES, *SHAMPOO]
    parser.add_argument("--only", nargs="+", default=every, choices=every, metavar="CHANGE", help="measure these alone")
    chosen = parser.parse_args(arguments)
    measure_study(
        FOLDER, COLUMNS, [case for case in cases() if case.seed < chosen.seeds and case.change in chosen.only], train
    )
    if rows := read_rows(FOLDER.result):
        write_text(FOLDER.table, table(rows))
