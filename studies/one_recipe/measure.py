"""Does one recipe suit all data sets, with a pooled interneuron and without?

The presets for MNIST and the digits use Adam and fixed leaks, those for CIFAR-10 Muon and learned leaks. Both recipes
on all three, CNN and FCN, 15,000 training images, 5 epochs, judged on 5,000 other training images; of the digits three
quarters of the training images, 25 epochs, judged on the rest; and MNIST at full length, judged on 5,000 images, too.
No test image is seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import sqrt
from statistics import fmean, stdev

from conductance.files import write_text
from conductance.presets.named import get_preset
from conductance.report.table import markdown_lines
from conductance.runs import RunConfig
from studies.shared import changes
from studies.shared.answers import JUDGED, JUDGED_RIGHT, by_change, judged
from studies.shared.folder import folder_of
from studies.shared.growing import measure_study, read_rows
from studies.shared.packing import packed
from studies.shared.short import IMAGES, train_shortly

FOLDER = folder_of(__file__)
EPOCHS = 5
SEEDS = 5
"""Of the digits; larger data sets have the first of them."""
WHOLE = "mnist, whole"
"""All training images but those held out, for the preset's own epochs."""
ALL = 60_000
SEEDS_OF = {"mnist": 2, "cifar10": 2, WHOLE: 2}
DATASETS, RECIPES, NETWORKS = ("digits", "mnist", "cifar10", WHOLE), ("mnist", "cifar10"), ("cnn", "fcn")
INTERNEURONS = ("none", "pooled")
KIND = "kind"
FIRST = "mnist, none"
"""What the others of a network are compared with."""


@dataclass(frozen=True)
class Case:
    """One run: the network of a data set, by the recipe of one's preset, with an interneuron or without."""

    dataset: str
    network: str
    recipe: str
    interneuron: str
    seed: int


def cases() -> list[Case]:
    """All runs, seed by seed; CIFAR-10 last, whose presets are the newer ones."""
    every = product(range(SEEDS), DATASETS, NETWORKS, RECIPES, INTERNEURONS)
    return [
        Case(dataset, network, recipe, pool, seed)
        for seed, dataset, network, recipe, pool in every
        if seed < SEEDS_OF.get(dataset, SEEDS)
    ]


def config_of(case: Case) -> RunConfig:
    """The data set's own augmentation, and batches of 125 (digits: 50), all else as the recipe's preset has it."""
    own = get_preset(f"{case.dataset.partition(',')[0]}-{case.network}-cwa")
    recipe = get_preset(f"{case.recipe}-{case.network}-cwa")
    few = case.dataset == "digits"
    config = replace(
        own,
        epochs=own.epochs if few or case.dataset == WHOLE else EPOCHS,
        seed=case.seed,
        conductance=recipe.conductance,
        optimizer=recipe.optimizer,
        data=replace(own.data, preprocessing=recipe.data.preprocessing, batch_size=own.data.batch_size if few else 125),
    )
    return config if case.interneuron == "none" else changes.conductance(pooled_interneuron=True)(config)


def train(case: Case) -> dict[str, float | str]:
    """One run.

    Returns:
        accuracies of the last epoch in %, and which images that were held out are answered right.
    """
    accuracies, correct = train_shortly(config_of(case), number=ALL if case.dataset == WHOLE else IMAGES)
    return {**accuracies, "correct": packed(correct)}


def table(rows: Sequence[dict[str, str]]) -> str:
    """A Markdown table, a line for each network, recipe and interneuron, with the accuracies of its seeds.

    What a line gains is the mean over seeds of what it has above the first of its network, and the standard error;
    where answers are kept, the difference on the same images decides.
    """
    cells = []
    for place in product(DATASETS, NETWORKS):
        own = [{**row, KIND: _kind(row)} for row in rows if (row["dataset"], row["network"]) == place]
        compared = judged(by_change(own, KIND), FIRST)
        lines = {kind: _by_seed(own, kind) for kind in map(", ".join, product(RECIPES, INTERNEURONS))}
        for kind, found in lines.items():
            gains = [found[seed] - lines[FIRST][seed] for seed in sorted(found.keys() & lines[FIRST].keys())]
            values = ", ".join(f"{found[seed]:.2f}" for seed in sorted(found))
            gained = "" if kind == FIRST or not gains else _with_error(gains)
            if found:
                _, *judgement = compared.get(kind, [""] * len(JUDGED))
                cells.append([*place, *kind.split(", "), values, gained, *judgement])
    headings = (
        "Data", "Network", "Recipe of the preset for", "Interneuron", "Validation % of each seed", "Gained", *JUDGED[1:]
    )  # fmt: skip
    return markdown_lines(headings, (False, False, False, False, True, True, *JUDGED_RIGHT[1:]), cells)


def _kind(row: dict[str, str]) -> str:
    return f"{row['recipe']}, {row['interneuron']}"


def _by_seed(rows: Sequence[dict[str, str]], kind: str) -> dict[str, float]:
    return {row["seed"]: float(row["validation"]) for row in rows if row[KIND] == kind}


def _with_error(gains: Sequence[float]) -> str:
    error = f" ± {stdev(gains) / sqrt(len(gains)):.2f}" if len(gains) > 1 else ""
    return f"{fmean(gains):+.2f}{error}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is missing, and write the table of what there is."""
    parser = FOLDER.parser(__doc__, seeds=SEEDS)
    parser.add_argument("--datasets", nargs="+", default=list(DATASETS), choices=DATASETS, help="these alone")
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=NETWORKS, help="likewise")
    chosen = parser.parse_args(arguments)
    asked = [case for case in cases() if case.dataset in chosen.datasets and case.network in chosen.networks]
    wanted = [case for case in asked if case.seed < chosen.seeds]
    measure_study(FOLDER, wanted, train)
    if rows := read_rows(FOLDER.result):
        write_text(FOLDER.table, table(rows))
