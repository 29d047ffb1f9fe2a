"""Where in depth does the gap to BatchNorm open, and what does a pooled interneuron do inside a network?

CIFAR-10, the CNN of the presets, 15,000 training images, 5 epochs: with and without a pooled interneuron, with one in a
single layer alone, and affine with BatchNorm. Networks are looked at and judged by 5,000 other training images; no test
image is seen.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial

import torch
from rich.console import Console
from rich.progress import track
from torch import nn

from conductance.files import write_table, write_text
from conductance.init import conductance_layers
from conductance.presets.named import get_preset
from conductance.runs import RunConfig
from conductance.runs.provenance import git_commit
from studies.gap_inside.figure import gap_inside_figure
from studies.gap_inside.inside import look_inside
from studies.gap_inside.table import table
from studies.shared.folder import folder_of
from studies.shared.growing import read_rows
from studies.shared.short import short_trainer

FOLDER = folder_of(__file__)
EPOCHS = 5
SEEDS = 2
LAYERS = 5
CASE = ("network", "seed")
COLUMNS = (*CASE, "when", "layer", "quantity", "value", "commit", "command")

ALONE = {f"pooled in layer {layer} alone": layer for layer in range(1, LAYERS + 1)}
NETWORKS = ("cwa", "cwa, pooled", "affine_bn", *ALONE)
PRESETS = {"cwa": "cifar10-cnn-cwa", "affine_bn": "cifar10-cnn-affine_bn"}
POOLED = "cifar10-cnn-cwa-pooled"


@dataclass(frozen=True)
class Case:
    """One network and seed."""

    network: str
    seed: int


def cases() -> list[Case]:
    """All networks, seed by seed."""
    return [Case(network, seed) for seed in range(SEEDS) for network in NETWORKS]


def config_of(case: Case) -> RunConfig:
    """The preset, in few epochs; where one layer alone has an interneuron, that of the pooled network."""
    return replace(get_preset(PRESETS.get(case.network, POOLED)), epochs=EPOCHS, seed=case.seed)


def pooled_in_one(network: nn.Module, layer: int) -> None:
    """Leave the interneuron to one layer, counted from 1."""
    for place, each in enumerate(conductance_layers(network), start=1):
        each.pooled_interneuron = place == layer


def measure(case: Case) -> Iterator[dict[str, object]]:
    """Train one network; what is found inside before and after, and its accuracies after each epoch."""
    layer = ALONE.get(case.network)
    change = None if layer is None else partial(pooled_in_one, layer=layer)
    trainer, images, held_out = short_trainer(config_of(case), change)
    yield from ({"when": 0, **row} for row in look_inside(trainer, images, held_out))
    trainer.fit()
    yield from ({"when": EPOCHS, **row} for row in look_inside(trainer, images, held_out))
    for epoch, metrics in enumerate(trainer.history, start=1):
        yield {"when": epoch, "layer": "", "quantity": "validation", "value": metrics["validation_accuracy"]}
        yield {"when": epoch, "layer": "", "quantity": "training", "value": metrics["train_accuracy"]}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is missing, and write table and figure of what there is."""
    chosen = FOLDER.parser(__doc__, seeds=SEEDS).parse_args(arguments)
    rows = read_rows(FOLDER.result)
    measured = {tuple(row[name] for name in CASE) for row in rows}
    missing = [case for case in cases() if case.seed < chosen.seeds and (case.network, str(case.seed)) not in measured]
    torch.set_num_threads(1)
    made = {"commit": git_commit(), "command": FOLDER.command}
    for case in track(missing, "networks", console=Console()):
        found = [{**asdict(case), **row, **made} for row in measure(case)]
        rows += [{**row, "value": f"{row['value']:.4g}"} for row in found]
        write_table(FOLDER.result, COLUMNS, rows)
    if rows := read_rows(FOLDER.result):
        write_text(FOLDER.table, table(rows))
        write_text(FOLDER.figure, gap_inside_figure(rows))
