"""Which way a residual shortcut should join conductance networks, and what lets them learn, by validation accuracy.

CIFAR-10, a quarter of ResNet-18's width and a fifth of the training images, so that two cores can do it; the other
images are what is judged by.
"""

import sys
from dataclasses import replace
from pathlib import Path

from conductance.models.resnet import SHORTCUTS
from conductance.presets.named import get_preset
from conductance.runs import RunConfig
from studies.shared import changes, study

WIDTHS = (16, 32, 64, 128)
VALIDATION_IMAGES = 40_000
EPOCHS = 4
PLAIN = changes.optimizer(centered=False)
EARLIER = changes.optimizer(centered=False, learning_rate=0.1)
BRANCHES: dict[str, changes.Change] = {
    **{name: changes.model(shortcut=name) for name in SHORTCUTS},
    "mean, branch learnt from 0.1": changes.model(shortcut="mean", branch_scale=0.1),
    "mean, gradients not centered": changes.both(changes.model(shortcut="mean"), PLAIN),
    "mean, gradients not centered, step 0.1": changes.both(changes.model(shortcut="mean"), EARLIER),
    "conductance, gradients not centered, step 0.1": changes.both(changes.model(shortcut="conductance"), EARLIER),
}


def config_of(case: study.Case, seed: int) -> RunConfig:
    """The preset in small, its blocks joined as named."""
    architecture, family, branch = case
    config = changes.model(widths=WIDTHS)(BRANCHES[branch](get_preset(f"cifar10-{architecture}-{family}")))
    return study.judged(replace(config, epochs=EPOCHS), branch, seed, VALIDATION_IMAGES)


SHORTCUT_STUDY = study.Study(
    [("resnet18", "cwa", branch) for branch in BRANCHES],
    config_of,
    Path("runs/shortcuts"),
    Path("results/shortcuts.csv"),
    "make shortcuts",
)


if __name__ == "__main__":
    sys.exit(study.command_line(SHORTCUT_STUDY, __doc__))
