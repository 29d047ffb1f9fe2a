"""Do the units of a deep network lose their balance in the first steps of training, and do centered gradients help?

A unit out of balance gives nearly the same value for every image.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track
from torch import Tensor

from conductance.analysis import observe
from conductance.data import Dataset, DeviceLoader, load_dataset
from conductance.files import write_table, write_text
from conductance.presets import get_preset
from conductance.runs import ProtocolConfig, RunConfig
from conductance.runs.provenance import git_commit
from conductance.training import Trainer, TrainingConfig, build
from studies.drift.figure import drift_figure
from studies.shared import changes
from studies.shared.folder import folder_of

STEPS = 80
WARM_UP = 64  # steps, in which the step size rises to the preset's
BETWEEN = 8  # steps from one look to the next
IMAGES = 200  # to look with
SEEDS = 3
FOLDER = folder_of(__file__)

Row = dict[str, Any]


def measure_drift(file: Path, *, data_dir: Path | None = None, console: Console | None = None) -> None:
    """Train a small ResNet for its first steps, with plain and with centered gradients.

    Columns: gradients (plain or centered), seed, step, layer (from 1, in the order in which they run), open (share of
    its units with z > 0, over images and positions), offset (`offset` of its z), commit, command.
    """
    rows: list[Row] = []
    runs = [(centered, seed) for seed in range(SEEDS) for centered in (False, True)]
    dataset = load_dataset("cifar10", data_dir)
    for centered, seed in track(runs, "deep networks warming up", console=console, disable=console is None):
        gradients = "centered" if centered else "plain"
        rows += [
            {"gradients": gradients, "seed": seed, **row} for row in _first_steps(config_of(centered, seed), dataset)
        ]
    measured = {"commit": git_commit(), "command": FOLDER.command}
    columns = ["gradients", "seed", "step", "layer", "open", "offset", "commit", "command"]
    write_table(file, columns, [{**row, **measured} for row in rows])


def config_of(centered: bool, seed: int) -> RunConfig:
    """The preset with a quarter of the channels and one kind of gradients."""
    change = changes.both(changes.quarter_width, changes.optimizer(centered=centered))
    return replace(change(get_preset("cifar10-resnet18-cwa")), seed=seed)


class Balance:
    """A callback: how open the units of each layer are and how far from balance, before training and every few steps.

    Args:
        shown: the images to look with.
    """

    def __init__(self, shown: Tensor) -> None:
        self.shown = shown
        self.rows: list[Row] = []

    def on_start(self, trainer: Trainer) -> None:
        """Look at the network before its first step."""
        self._look(trainer)

    def on_step(self, trainer: Trainer) -> None:
        """Look at it every few steps, and stop after the last."""
        if trainer.step % BETWEEN == 0:
            self._look(trainer)
        if trainer.step == STEPS:
            trainer.stop()

    def _look(self, trainer: Trainer) -> None:
        for layer, seen in enumerate(observe(trainer.network, self.shown), start=1):
            z = seen.z.movedim(1, -1).flatten(0, -2)
            shares = {"open": round(float((z > 0).float().mean()), 4), "offset": round(offset(z), 4)}
            self.rows.append({"step": trainer.step, "layer": layer, **shares})


def _first_steps(config: RunConfig, dataset: Dataset) -> list[Row]:
    network, preprocessing = build.start(config, dataset)
    loader = DeviceLoader(
        dataset.train,
        config.data.batch_size,
        preprocessing=preprocessing,
        augmentation=build.build_augmentation(config),
        shuffle=True,
        seed=config.seed,
    )
    protocol = ProtocolConfig(warmup=min(1.0, WARM_UP / len(loader)))
    training = replace(TrainingConfig.of(config), epochs=1, protocol=protocol)
    balance = Balance(preprocessing(dataset.test.pixels[:IMAGES]))
    Trainer(network, loader, training, callbacks=[balance], progress=False).fit()
    return balance.rows


def offset(z: Tensor) -> float:
    """The share of z² (samples, units) that the units' means hold: 1 where no input makes a difference."""
    return float(z.mean(0).square().mean() / z.square().mean())


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and draw everything."""
    parser = FOLDER.parser(__doc__)
    parser.add_argument("--data-dir", type=Path, help="where to look for CIFAR-10 first")
    measure_drift(FOLDER.result, data_dir=parser.parse_args(arguments).data_dir, console=Console())
    write_text(FOLDER.figure, drift_figure(FOLDER.result))
