"""What makes conductance networks hard to train?

Measured before training: whether all units of a layer do the same, how many are open, how little is left of E' - I',
and how many directions a gradient has. Measured during training: whether synapses that have closed open again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor, nn
from torch.nn import functional as F

from conductance import optim
from conductance.data import Dataset, DeviceLoader, load_dataset
from conductance.files import write_table, write_text
from conductance.init import conductance_layers
from conductance.presets.named import get_preset
from conductance.runs import ProtocolConfig, RunConfig
from conductance.runs.provenance import git_commit
from conductance.training import Trainer, TrainingConfig, build
from studies.difficulties.figure import difficulties_figure
from studies.shared import changes
from studies.shared.activity import before_rectification, common_mode
from studies.shared.folder import folder_of

IMAGES = 500
SPECTRUM_LAYER = 2  # the third of the network: neither its image nor its readout
TRAINING_EPOCHS = 15
SEEDS = 3
FOLDER = folder_of(__file__)

# Each with (family, what its network starts from), from the paper's start to the whole of ours.
STARTS: dict[str, tuple[str, changes.Change]] = {
    "affine": ("affine", changes.unchanged),
    "affine + BN": ("affine_bn", changes.unchanged),
    "CWA, Glorot around 1": ("cwa", changes.conductance(initialization="glorot", twin=False, balance=False)),
    "CWA, log-normal": ("cwa", changes.conductance(twin=False, balance=False)),
    "CWA, log-normal, balanced": ("cwa", changes.conductance(twin=False)),
    "CWA, log-normal, balanced, twins": ("cwa", changes.unchanged),
}
FORMS = ("rectified", "clamped")

Row = dict[str, Any]


def measure_difficulties(
    file: Path, preset: str = "cifar10-cnn", *, data_dir: Path | None = None, console: Console | None = None
) -> None:
    """Measure networks at their start, and two while they train on the digits; write one row for each number as CSV.

    Columns: quantity, network, seed, layer (from 1), place (rank of a singular value, or epoch), value, commit,
    command. Quantities:

    * ``active``: share of the units (over images and positions) above 0;
    * ``common mode``: how alike the units of a layer are. With Z the values before rectification, images and positions
      by units, the share of the sum of their squares that the first singular value of Z holds: 1 where all units do
      the same;
    * ``cancellation``: mean of abs(E' - I') / (E' + I'), CWA only: how little of the two sums their difference leaves;
    * ``spectrum``, ``gradient``: singular values of the third layer's signed synapses G e (units by fan-in), and of
      the gradient of the cross-entropy with respect to them, over the largest;
    * ``silent``: share of synapses that are closed (G = 0) after each epoch; ``returned``: of those, the share that is
      open an epoch later.
    """
    rows: list[Row] = []
    dataset = load_dataset(get_preset(f"{preset}-cwa").data.dataset, data_dir)
    for name in track(STARTS, "networks at their start", console=console, disable=console is None):
        family, change = STARTS[name]
        for seed in range(SEEDS):
            config = replace(change(get_preset(f"{preset}-{family}")), seed=seed)
            rows += [{"network": name, "seed": seed, **row} for row in _at_the_start(config, dataset)]
    for form in track(FORMS, "closed synapses", console=console, disable=console is None):
        for seed in range(SEEDS):
            rows += [{"network": f"h {form}", "seed": seed, **row} for row in _closed_synapses(form, seed)]
    columns = ["quantity", "network", "seed", "layer", "place", "value", "commit", "command"]
    measured = {"commit": git_commit(), "command": FOLDER.command}
    write_table(file, columns, [{**row, "value": float(f"{row['value']:.4g}"), **measured} for row in rows])


# At the start ---------------------------------------------------------------------------------------------------------


def _at_the_start(config: RunConfig, dataset: Dataset) -> Iterator[Row]:
    network, preprocessing = build.start(config, dataset)
    images, labels = preprocessing(dataset.train.pixels[:IMAGES]), dataset.train.labels[:IMAGES]
    for layer, z in enumerate(before_rectification(network, images), start=1):
        by_unit = z.movedim(1, -1).flatten(0, -2)
        yield {"quantity": "active", "layer": layer, "value": float((z > 0).float().mean())}
        yield {"quantity": "common mode", "layer": layer, "value": common_mode(by_unit)}
        if config.model.family == "cwa":
            yield {"quantity": "cancellation", "layer": layer, "value": float(z.abs().mean())}
    parameter, signs = _synapses_and_signs(network)
    F.cross_entropy(network(images), labels).backward()
    assert parameter.grad is not None
    for quantity, matrix in (("spectrum", parameter.detach() * signs), ("gradient", parameter.grad)):
        values = torch.linalg.svdvals(matrix.flatten(1).double())
        for rank, value in enumerate(values / values[0], start=1):
            yield {"quantity": quantity, "layer": SPECTRUM_LAYER + 1, "place": rank, "value": float(value)}


def _synapses_and_signs(network: nn.Module) -> tuple[nn.Parameter, Tensor | float]:
    """The synapses of one layer, and the sign of what each does."""
    layers = list(conductance_layers(network))
    if layers:
        layer = layers[SPECTRUM_LAYER]
        return layer.g, layer.presynaptic.per_synapse(layer.g)
    return optim.hidden_synapses(network)[SPECTRUM_LAYER].parameter, 1.0


# While it trains ------------------------------------------------------------------------------------------------------


class ClosedSynapses:
    """A callback: after each epoch, how many synapses are closed, and how many of those closed before are open."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.before: Tensor | None = None

    def on_epoch(self, trainer: Trainer) -> None:
        """Look at all conductances."""
        closed = torch.cat([layer.conductance.flatten() == 0 for layer in conductance_layers(trainer.network)])
        epoch = len(trainer.history)
        self.rows.append({"quantity": "silent", "place": epoch, "value": float(closed.float().mean())})
        if self.before is not None and bool(self.before.any()):
            returned = float((~closed[self.before]).float().mean())
            self.rows.append({"quantity": "returned", "place": epoch, "value": returned})
        self.before = closed


def _closed_synapses(form: str, seed: int) -> list[Row]:
    """The digits' CNN at its preset's step size, held constant."""
    change = changes.conductance(nonnegative=form)
    constant = ProtocolConfig("paper", patience=TRAINING_EPOCHS + 1, stop_train_accuracy=100)
    config = replace(change(get_preset("digits-cnn-cwa")), seed=seed, epochs=TRAINING_EPOCHS, protocol=constant)
    dataset = load_dataset("digits")
    network, preprocessing = build.start(config, dataset)
    closed = ClosedSynapses()
    loader = DeviceLoader(dataset.train, config.data.batch_size, preprocessing=preprocessing, shuffle=True, seed=seed)
    Trainer(network, loader, TrainingConfig.of(config), callbacks=[closed], progress=False).fit()
    return closed.rows


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and draw everything."""
    parser = FOLDER.parser(__doc__)
    parser.add_argument("--data-dir", type=Path, help="where to look for CIFAR-10 first")
    data_dir = parser.parse_args(arguments).data_dir
    measure_difficulties(FOLDER.result, data_dir=data_dir, console=Console())
    write_text(FOLDER.figure, difficulties_figure(FOLDER.result))
