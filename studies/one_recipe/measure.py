"""Does one recipe suit all data sets, with a pooled interneuron and without?

The presets for MNIST use Adam and fixed leaks, those for CIFAR-10 Muon and learned leaks. Both recipes on both data
sets, CNN and FCN, 15,000 training images, 5 epochs, judged on 5,000 other training images; no test image is seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

from conductance.files import write_text
from conductance.presets.named import get_preset
from conductance.report.table import markdown_lines
from conductance.runs import RunConfig
from studies.shared import changes
from studies.shared.folder import folder_of
from studies.shared.growing import measure_study, read_rows
from studies.shared.short import train_shortly

FOLDER = folder_of(__file__)
EPOCHS = 5
SEEDS = 2
COLUMNS = (
    "dataset", "network", "recipe", "interneuron", "seed", "validation", "training", "seconds", "commit", "command"
)  # fmt: skip
DATASETS, NETWORKS = ("mnist", "cifar10"), ("cnn", "fcn")
INTERNEURONS = ("none", "pooled")


@dataclass(frozen=True)
class Case:
    """One run: the network of a data set, by the recipe of one's preset, with an interneuron or without."""

    dataset: str
    network: str
    recipe: str
    interneuron: str
    seed: int


def cases() -> list[Case]:
    """All runs, seed by seed; the networks of MNIST first, whose presets are the older ones."""
    every = product(range(SEEDS), DATASETS, NETWORKS, DATASETS, INTERNEURONS)
    return [Case(dataset, network, recipe, pool, seed) for seed, dataset, network, recipe, pool in every]


def config_of(case: Case) -> RunConfig:
    """The data set's own augmentation and batches, all else as the recipe's preset has it."""
    own = get_preset(f"{case.dataset}-{case.network}-cwa")
    recipe = get_preset(f"{case.recipe}-{case.network}-cwa")
    config = replace(
        own,
        epochs=EPOCHS,
        seed=case.seed,
        conductance=recipe.conductance,
        optimizer=recipe.optimizer,
        data=replace(own.data, preprocessing=recipe.data.preprocessing, batch_size=125),
    )
    return config if case.interneuron == "none" else changes.conductance(pooled_interneuron=True)(config)


def train(case: Case) -> dict[str, float]:
    """One run.

    Returns:
        validation and training accuracy of the last epoch, in %.
    """
    return train_shortly(config_of(case))[0]


def table(rows: Sequence[dict[str, str]]) -> str:
    """A Markdown table, a line for each network, recipe and interneuron, with the accuracies of its seeds."""
    lines: dict[tuple[str, ...], list[str]] = {}
    for row in rows:
        kind = tuple(row[name] for name in ("dataset", "network", "recipe", "interneuron"))
        lines.setdefault(kind, []).append(row["validation"])
    cells = [[*kind, ", ".join(f"{float(value):.2f}" for value in values)] for kind, values in sorted(lines.items())]
    headings = ("Data", "Network", "Recipe of the preset for", "Interneuron", "Validation % of each seed")
    return markdown_lines(headings, (False, False, False, False, True), cells)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is missing, and write the table of what there is."""
    parser = FOLDER.parser(__doc__, seeds=SEEDS)
    parser.add_argument("--datasets", nargs="+", default=list(DATASETS), choices=DATASETS, help="these alone")
    chosen = parser.parse_args(arguments)
    wanted = [case for case in cases() if case.seed < chosen.seeds and case.dataset in chosen.datasets]
    measure_study(FOLDER, COLUMNS, wanted, train)
    if rows := read_rows(FOLDER.result):
        write_text(FOLDER.table, table(rows))
