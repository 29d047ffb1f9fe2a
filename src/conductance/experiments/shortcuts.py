"""Which way a residual shortcut should join conductance networks, and what lets them learn, by validation accuracy.

CIFAR-10, a quarter of ResNet-18's width and a fifth of the training images, so that two cores can do it; the other
images are what is judged by.
"""

from collections.abc import Collection
from dataclasses import replace
from functools import partial
from pathlib import Path

from rich.console import Console

from conductance.experiments import changes, study
from conductance.experiments.presets import get_preset
from conductance.models.resnet import SHORTCUTS
from conductance.training import RunConfig

WIDTHS = (16, 32, 64, 128)
VALIDATION_IMAGES = 40_000
EPOCHS = 4
PLAIN = changes.optimizer(centred=False)
EARLIER = changes.optimizer(centred=False, learning_rate=0.1)
BRANCHES: dict[str, changes.Change] = {
    **{name: changes.model(shortcut=name) for name in SHORTCUTS},
    "mean, branch learnt from 0.1": changes.model(shortcut="mean", branch_scale=0.1),
    "mean, gradients not centred": changes.both(changes.model(shortcut="mean"), PLAIN),
    "mean, gradients not centred, step 0.1": changes.both(changes.model(shortcut="mean"), EARLIER),
    "conductance, gradients not centred, step 0.1": changes.both(changes.model(shortcut="conductance"), EARLIER),
}
RUNS = Path("runs/shortcuts")
COMMAND = "make shortcuts"


def config_of(branch: str, seed: int, preset: str = "cifar10-resnet18-cwa") -> RunConfig:
    """The preset in small, its blocks joined as named."""
    config = changes.model(widths=WIDTHS)(BRANCHES[branch](get_preset(preset)))
    return replace(
        config,
        name=f"{config.name} {branch}",
        seed=seed,
        epochs=EPOCHS,
        data=replace(config.data, validation_images=VALIDATION_IMAGES),
    )


def run(seeds: int, only: Collection[str] = (), runs: Path = RUNS, console: Console | None = None) -> None:
    """Train what is missing, all branches, or ``only`` those named, with the first seed, then with the next."""
    configs = [config_of(branch, seed) for seed in range(seeds) for branch in BRANCHES if not only or branch in only]
    study.train_missing(configs, runs, COMMAND, console)


def table(seeds: int, runs: Path = RUNS) -> study.Rows:
    """A row for each branch of which at least one seed is done."""
    done = {branch: study.finished([config_of(branch, seed) for seed in range(seeds)], runs) for branch in BRANCHES}
    return [changes.row("resnet18", "cwa", branch, runs, COMMAND) for branch, runs in done.items() if runs]


if __name__ == "__main__":
    study.command_line(__doc__, partial(run, console=Console()), table, Path("results/shortcuts.csv"))
