"""How does the best step size of `create_optimizer` depend on the depth of a network?

Stacks of default layers, 2 to 20 deep, learn scikit-learn's digits with several step sizes, all constant.
"""

import csv
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import get_args

import torch
from rich.console import Console
from rich.progress import track
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

from conductance.files import write_table, write_text
from conductance.nn import CWAConv2d, CWALinear
from conductance.optim import create_optimizer
from conductance.optim.create import default_lr
from conductance.optim.optimizer import RuleName
from conductance.report.table import markdown_lines
from conductance.runs.provenance import git_commit
from studies.shared.folder import folder_of

FOLDER = folder_of(__file__)

EPOCHS, BATCH, TRAINING_IMAGES = 12, 50, 1400
UNITS, CHANNELS, CLASSES = 100, 32, 10
SHALLOW_STEP = 0.1
STEPS = (SHALLOW_STEP, 0.025, 0.00625)
SEEDS = 3
DEPTHS = {"FCN": (2, 5, 10, 20), "CNN": (5, 10, 20)}
RULES: dict[str, Sequence[RuleName]] = {"FCN": get_args(RuleName), "CNN": ("muon",)}
COLUMNS = ("network", "depth", "rule", "step", "seed", "accuracy", "seconds", "commit", "command")


@dataclass(frozen=True)
class Case:
    """One run: which network of how many hidden layers, which rule and step size, which seed."""

    network: str
    depth: int
    rule: RuleName
    step: float
    seed: int


def cases() -> list[Case]:
    """All runs, seed by seed: each depth with the default step and with others, more of them for muon."""
    return [
        Case(network, depth, rule, step, seed)
        for seed in range(SEEDS)
        for network, depths in DEPTHS.items()
        for rule in RULES[network]
        for depth in depths
        for step in sorted({*(STEPS if rule == "muon" else (SHALLOW_STEP,)), default_lr(depth)}, reverse=True)
    ]


def fcn(depth: int) -> nn.Module:
    """Fully connected layers of 100 units and a readout."""
    sizes = [64] + [UNITS] * depth
    return nn.Sequential(nn.Flatten(), *(CWALinear(a, b) for a, b in pairwise(sizes)), nn.Linear(UNITS, CLASSES))


def cnn(depth: int) -> nn.Module:
    """3x3 convolutions of 32 channels, pooling and a readout."""
    sizes = [1] + [CHANNELS] * depth
    convolutions = [CWAConv2d(a, b, 3, padding=1) for a, b in pairwise(sizes)]
    return nn.Sequential(*convolutions, nn.AvgPool2d(2), nn.Flatten(), nn.Linear(16 * CHANNELS, CLASSES))


NETWORKS: dict[str, Callable[[int], nn.Module]] = {"FCN": fcn, "CNN": cnn}


def measure(result: Path, wanted: Iterable[Case], console: Console | None = None) -> None:
    """Train what has no row yet, and append a row for each run when it ends.

    Columns: those of `Case`, accuracy (%, on images that were not learned from), seconds, commit, command.
    """
    if not result.exists():
        write_table(result, COLUMNS, [])
    measured = {_case(row) for row in rows(result)}
    missing = [case for case in wanted if case not in measured]
    for case in track(missing, "steps by depth", console=console, disable=console is None):
        started = time.perf_counter()
        accuracy = _accuracy(case)
        row = [*astuple(case), accuracy, round(time.perf_counter() - started, 1), git_commit(), FOLDER.command]
        with result.open("a", newline="") as file:
            csv.writer(file, lineterminator="\n").writerow(row)


def rows(result: Path) -> list[dict[str, str]]:
    """All rows that have been measured."""
    with result.open(newline="") as file:
        return list(csv.DictReader(file))


def _case(row: Mapping[str, str]) -> Case:
    rule: RuleName = row["rule"]  # type: ignore[assignment]
    return Case(row["network"], int(row["depth"]), rule, float(row["step"]), int(row["seed"]))


def _accuracy(case: Case) -> float:
    """Of one run, in %."""
    torch.manual_seed(case.seed)
    (images, labels), (judged_images, judged_labels) = load()
    network = NETWORKS[case.network](case.depth)
    optimizer = create_optimizer(network, case.rule, case.step)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(images)).split(BATCH):
            optimizer.zero_grad()
            F.cross_entropy(network(images[batch]), labels[batch]).backward()
            optimizer.step()
    with torch.no_grad():
        correct = network(judged_images).argmax(1) == judged_labels
    return round(100 * correct.double().mean().item(), 2)


def load() -> Iterator[tuple[Tensor, Tensor]]:
    """Images (N, 1, 8, 8) in [0, 1] and labels: some to learn from, the rest to judge by. Drawn by torch's seed."""
    digits = load_digits()
    images = torch.tensor(digits.images / 16, dtype=torch.float32)[:, None]
    labels = torch.tensor(digits.target)
    for chosen in torch.randperm(len(images)).split([TRAINING_IMAGES, len(images) - TRAINING_IMAGES]):
        yield images[chosen], labels[chosen]


def markdown(measured: Sequence[Mapping[str, str]]) -> str:
    """A line for each network, rule and depth: means over seeds by step, and the lowest at the default step."""
    means: dict[tuple[str, str, int], dict[float, list[float]]] = {}
    for row in measured:
        of_line = means.setdefault((row["network"], row["rule"], int(row["depth"])), {})
        of_line.setdefault(float(row["step"]), []).append(float(row["accuracy"]))
    lines = []
    for (network, rule, depth), by_step in means.items():
        default = default_lr(depth)
        grid = [f"{fmean(by_step[step]):.1f}" if step in by_step else "" for step in STEPS]
        chosen = by_step.get(default)
        by_default = f"{fmean(chosen):.1f} ({min(chosen):.1f})" if chosen else ""
        lines.append([network, rule, str(depth), *grid, f"{default:.3g}", by_default])
    headings = ["Network", "Rule", "Layers", *map(str, STEPS), "Default step", "Accuracy (lowest)"]
    return markdown_lines(headings, [False, False, *[True] * (len(STEPS) + 3)], lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is missing, on one thread, and write the table."""
    parser = FOLDER.parser(__doc__)
    parser.add_argument("--seeds", type=int, default=SEEDS, help="of the %(default)s, how many to measure")
    seeds = parser.parse_args(arguments).seeds
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        measure(FOLDER.result, [case for case in cases() if case.seed < seeds], Console())
    finally:
        torch.set_num_threads(threads)
    write_text(FOLDER.table, markdown(rows(FOLDER.result)))
