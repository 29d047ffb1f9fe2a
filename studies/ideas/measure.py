"""Do further ideas help a network with pooled interneurons: averaged weights, larger blocks, Shampoo, SOAP?

CIFAR-10, the CNN of the preset with a pooled interneuron and one change, 15,000 training images, 5 epochs, three seeds;
and ResNet-18 with a quarter of its channels. Networks are judged on 5,000 other training images, and their answers are
kept; no test image is seen.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from torch import nn
from torch.optim import Optimizer

from conductance.files import write_text
from conductance.presets.named import get_preset
from conductance.runs import RunConfig
from studies.ideas.conditioners import Shampoo, Soap, conditioned
from studies.ideas.schedules import Batches, resize
from studies.ideas.stochastic_depth import leave_out
from studies.ideas.table import table
from studies.shared import changes
from studies.shared.folder import folder_of
from studies.shared.growing import measure_study, read_rows
from studies.shared.packing import packed
from studies.shared.short import HELD_OUT, IMAGES, Change, short_trainer

FOLDER = folder_of(__file__)
EPOCHS = 5
SEEDS = 3
NETWORKS = ("cnn", "resnet18")

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
OPTIMIZERS: dict[str, Callable[[nn.Module], Optimizer]] = {
    **{f"Shampoo instead of Muon, step {step}": partial(conditioned, step=step, conditioner=Shampoo)
       for step in (0.1, 0.3, 1.0)},
    **{f"SOAP instead of Muon, step {step}": partial(conditioned, step=step, conditioner=Soap) for step in (0.1, 0.3)},
}  # fmt: skip
GROWING = (75, 100, 125, 200, 273)  # as many steps in all as batches of 125 are
BATCHES = {"batches of 75 to 273, growing": GROWING, "batches of 273 to 75, shrinking": GROWING[::-1]}
STEPS = EPOCHS * (IMAGES - HELD_OUT) // 125
NETWORK_CHANGES: dict[str, Change] = {
    "images of 16, 24, then 32 pixels": partial(resize, sizes=(16, 24, 32, 32, 32), steps=STEPS),
}
IN_RESNETS: dict[str, Change | None] = {
    "none": None,
    "a fifth of the last branch left out": partial(leave_out, most=0.2),
}
IN_CNNS = (*CHANGES, *OPTIMIZERS, *BATCHES, *NETWORK_CHANGES)


@dataclass(frozen=True)
class Case:
    """One run."""

    network: str
    change: str
    seed: int


def cases() -> list[Case]:
    """All runs, seed by seed."""
    every = [("cnn", change) for change in IN_CNNS] + [("resnet18", change) for change in IN_RESNETS]
    return [Case(network, change, seed) for seed in range(SEEDS) for network, change in every]


def config_of(case: Case) -> RunConfig:
    """The preset with few epochs and, of a CNN, one change."""
    config = replace(get_preset(f"cifar10-{case.network}-cwa-pooled"), epochs=EPOCHS, seed=case.seed)
    if case.network == "resnet18":
        return changes.quarter_width(config)
    return CHANGES.get(case.change, changes.unchanged)(config)


def train(case: Case) -> dict[str, float | str]:
    """One run.

    Returns:
        accuracies of the last epoch in %; ``mirrored`` is that of the mean of the answers to an image and to its mirror
        image; and which images that were held out are answered right (without mirrors).
    """
    of_network = IN_RESNETS if case.network == "resnet18" else NETWORK_CHANGES
    trainer, _, held_out = short_trainer(
        config_of(case),
        of_network.get(case.change),
        optimizer=OPTIMIZERS.get(case.change),
        callbacks=[Batches(BATCHES[case.change])] if case.change in BATCHES else [],
    )
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
    every = [*IN_CNNS, *IN_RESNETS]
    parser.add_argument("--only", nargs="+", default=every, choices=every, metavar="CHANGE", help="measure these alone")
    parser.add_argument("--networks", nargs="+", default=NETWORKS, choices=NETWORKS, help="likewise")
    chosen = parser.parse_args(arguments)
    wanted = [case for case in cases() if case.network in chosen.networks and case.change in chosen.only]
    measure_study(FOLDER, [case for case in wanted if case.seed < chosen.seeds], train)
    if rows := read_rows(FOLDER.result):
        write_text(FOLDER.table, table(rows))
