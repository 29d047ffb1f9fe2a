"""How should a residual shortcut join a conductance network, and what lets such a network learn?

CIFAR-10, ResNet-18 with a quarter of its channels, 4 epochs on a fifth of the training images, so that two cores can do
it. Networks are judged on the other training images; no test image is seen.
"""

from collections.abc import Sequence
from dataclasses import replace

from conductance.models.resnet import SHORTCUTS
from conductance.presets.named import get_preset
from conductance.runs import RunConfig
from studies.shared import changes, comparison
from studies.shared.folder import folder_of

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

WORDS = {
    "sum": "sum of branch and shortcut",
    "mean": "mean of branch and shortcut",
    "conductance": "one average over the conductances of both",
    "mean, branch learnt from 0.1": "mean, weight of the branch learned from 0.1",
    "conductance, gradients not centered, step 0.1": "one average, gradients not centered, step 0.1",
}


def config_of(case: comparison.Case, seed: int) -> RunConfig:
    """The preset in small, its blocks joined as named."""
    architecture, family, branch = case
    config = changes.quarter_width(BRANCHES[branch](get_preset(f"cifar10-{architecture}-{family}")))
    return comparison.judged(replace(config, epochs=EPOCHS), branch, seed, VALIDATION_IMAGES)


SHORTCUT_WAYS = comparison.Comparison(
    [("resnet18", "cwa", branch) for branch in BRANCHES],
    config_of,
    folder_of(__file__),
    unchanged="mean",
    words=WORDS,
)


def main(arguments: Sequence[str] | None = None) -> str | None:
    """Measure what is missing, and write the table."""
    return comparison.command_line(SHORTCUT_WAYS, __doc__, arguments)
