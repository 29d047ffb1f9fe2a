"""Do the units of a deep network lose their balance in the first steps of training, and do centered gradients help?

A unit out of balance gives nearly the same value for every image.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track
from torch import Tensor
from torch.nn import functional as F

from conductance.analysis import observe
from conductance.data import Dataset, DeviceLoader, load_dataset
from conductance.files import write_table, write_text
from conductance.presets import get_preset
from conductance.runs import RunConfig
from conductance.runs.provenance import git_commit
from conductance.training import build
from conductance.training.protocols import create_protocol
from studies.drift.figure import drift_figure
from studies.shared import changes
from studies.shared.folder import folder_of

STEPS = 80
SCHEDULE = 320  # steps, of which the first fifth is the warm-up
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


def _first_steps(config: RunConfig, dataset: Dataset) -> Iterator[Row]:
    network, preprocessing = build.start(config, dataset)
    optimizer = build.build_optimizer(config.optimizer, network)
    protocol = create_protocol(optimizer, config.protocol, SCHEDULE)
    loader = DeviceLoader(
        dataset.train,
        config.data.batch_size,
        preprocessing=preprocessing,
        augmentation=build.build_augmentation(config),
        shuffle=True,
        seed=config.seed,
    )
    shown = preprocessing(dataset.test.pixels[:IMAGES])
    for step, (images, labels) in enumerate(islice(loader, STEPS + 1)):
        if step % BETWEEN == 0:
            for layer, seen in enumerate(observe(network, shown), start=1):
                z = seen.z.movedim(1, -1).flatten(0, -2)
                shares = {"open": float((z > 0).float().mean()), "offset": offset(z)}
                yield {"step": step, "layer": layer, **{name: round(share, 4) for name, share in shares.items()}}
        optimizer.zero_grad()
        F.cross_entropy(network(images), labels, label_smoothing=config.optimizer.label_smoothing).backward()
        optimizer.step()
        protocol.after_step()


def offset(z: Tensor) -> float:
    """The share of z² (samples, units) that the units' means hold: 1 where no input makes a difference."""
    return float(z.mean(0).square().mean() / z.square().mean())


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and draw everything."""
    parser = FOLDER.parser(__doc__)
    parser.add_argument("--data-dir", type=Path, help="where to look for CIFAR-10 first")
    measure_drift(FOLDER.result, data_dir=parser.parse_args(arguments).data_dir, console=Console())
    write_text(FOLDER.figure, drift_figure(FOLDER.result))
