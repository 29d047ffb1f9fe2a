"""What is a pooled interneuron worth, and which one?

CIFAR-10, the paper's CNN and FCN with Muon, and ResNet-18 with a quarter of its channels, 15,000 training images, 5
epochs. Networks are judged on 5,000 other training images; no test image is seen.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from torch import nn

from conductance.files import write_text
from conductance.presets.named import LEAK_STEP, get_preset
from conductance.runs import RunConfig
from studies.pooled.table import table
from studies.pooled.variants import VARIANTS, pool_sums, with_variant
from studies.shared import changes
from studies.shared.folder import folder_of
from studies.shared.growing import measure_study, read_rows
from studies.shared.packing import packed
from studies.shared.short import train_shortly

FOLDER = folder_of(__file__)
EPOCHS = 5
SEEDS = 2
NETWORKS = ("cnn", "fcn", "resnet18")

POOLED = changes.conductance(pooled_interneuron=True)
CENTERED = changes.optimizer(centered=True, leak_learning_rate=LEAK_STEP)
CHANGES: dict[str, changes.Change] = {
    "none": changes.unchanged,
    "pooled": POOLED,
    "centered": CENTERED,
    "pooled, centered": changes.both(POOLED, CENTERED),
    "pooled, step 0.05": changes.both(POOLED, changes.optimizer(learning_rate=0.05)),
    "pooled, step 0.2": changes.both(POOLED, changes.optimizer(learning_rate=0.2)),
    "pooled, momentum 0.85": changes.both(POOLED, changes.optimizer(momentum=0.85)),
    "pooled, momentum 0.98": changes.both(POOLED, changes.optimizer(momentum=0.98)),
    "pooled, start without data": changes.both(POOLED, changes.conductance(initialization="default")),
    **dict.fromkeys(VARIANTS, changes.unchanged),
    "after the sum": POOLED,
}
IN_RESNETS = ("none", "pooled", "after the sum")
OTHERS = {"absnorm": ("none", "pooled"), "affine": ("none",), "affine_bn": ("none",)}


@dataclass(frozen=True)
class Case:
    """One run: which network, of which family, what is changed, which seed."""

    network: str
    family: str
    change: str
    seed: int


def cases() -> list[Case]:
    """All runs in the order in which they are made: what matters most of both networks first, then seed by seed."""
    kinds = [("cwa", change) for change in CHANGES if change != "after the sum"]
    kinds += [(family, change) for family, chosen in OTHERS.items() for change in chosen]
    in_resnets = [*(("cwa", change) for change in IN_RESNETS), ("affine_bn", "none")]
    by_network = {"cnn": kinds, "fcn": kinds, "resnet18": in_resnets}
    every = [Case(network, *kind, seed) for seed in range(SEEDS) for network, own in by_network.items() for kind in own]
    return sorted(every, key=lambda case: case.change not in ("none", "pooled"))


def config_of(case: Case) -> RunConfig:
    """The preset's recipe with the settings that CNN and FCN share, and one change; ResNets keep their preset's."""
    config = get_preset(f"cifar10-{case.network}-{case.family}")
    if case.network == "resnet18":
        return CHANGES[case.change](changes.quarter_width(replace(config, epochs=EPOCHS, seed=case.seed)))
    rule = replace(config.optimizer, readout_learning_rate=1e-2, centered=False, leak_learning_rate=None)
    if case.family != "affine":
        rule = replace(rule, learning_rate=0.1)
    config = replace(
        config,
        epochs=EPOCHS,
        seed=case.seed,
        data=replace(config.data, batch_size=125, max_shift=4),
        optimizer=rule,
    )
    return CHANGES[case.change](config)


def train(case: Case) -> dict[str, float | str]:
    """One run.

    Returns:
        accuracies of the last epoch in %, and which images that were held out are answered right.
    """
    change: Callable[[nn.Module], None] | None = (
        partial(_with_variant, variant=case.change) if case.change in VARIANTS else None
    )
    if case.change == "after the sum":
        change = pool_sums
    accuracies, correct = train_shortly(config_of(case), change)
    return {**accuracies, "correct": packed(correct)}


def _with_variant(network: nn.Module, variant: str) -> None:
    with_variant(network.get_submodule("hidden"), variant)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is missing, and write the table of what there is."""
    parser = FOLDER.parser(__doc__, seeds=SEEDS)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=NETWORKS, help="these alone")
    parser.add_argument("--only", nargs="+", default=list(CHANGES), choices=CHANGES, metavar="CHANGE", help="likewise")
    chosen = parser.parse_args(arguments)
    wanted = [
        case
        for case in cases()
        if case.seed < chosen.seeds and case.network in chosen.networks and case.change in chosen.only
    ]
    measure_study(FOLDER, wanted, train)
    if rows := read_rows(FOLDER.result):
        write_text(FOLDER.table, table(rows))
