"""Do networks of default layers learn with torch's optimizers, and from which start?

Fully connected, convolutional and residual networks of 2 to 20 hidden layers learn scikit-learn's digits for 12 epochs.
Each is trained by torch's optimizers and by the package's own, from the layers' own start, from the paper's, and from
one that is balanced on a batch. Networks of torch's own layers stand beside them.
"""

import csv
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from itertools import product
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import track
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

from conductance import init
from conductance.files import write_table, write_text
from conductance.optim import create_optimizer
from conductance.runs.provenance import git_commit
from studies.default_start.figure import default_start_figure
from studies.default_start.networks import NETWORKS
from studies.default_start.table import all_starts, default_start
from studies.shared.folder import folder_of

FOLDER = folder_of(__file__)
DEFAULT_TABLE = FOLDER.path / "default.md"

DEPTHS = (2, 5, 10, 20)
LATE_DEPTHS = (20,)  # after all others of their seed
SEEDS = 3
EPOCHS, BATCH, TRAINING_IMAGES = 12, 50, 1400
BALANCE_IMAGES = 256

AFFINE = "torch's own layers"
STARTS = ("default", "initialize", "glorot", AFFINE)
OPTIMIZERS: dict[str, Callable[[nn.Module], Any]] = {
    "Adam 0.001": lambda network: torch.optim.Adam(network.parameters(), lr=1e-3),
    "Adam 0.01": lambda network: torch.optim.Adam(network.parameters(), lr=1e-2),
    "AdamW 0.01": lambda network: torch.optim.AdamW(network.parameters(), lr=1e-2),
    "SGD 0.1, momentum 0.9": lambda network: torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9),
    "create_optimizer": create_optimizer,
}
COLUMNS = ("network", "depth", "optimizer", "start", "seed", "accuracy", "loss", "seconds", "commit", "command")


@dataclass(frozen=True)
class Case:
    """One run: which network of how many hidden layers, which optimizer, which start, which seed."""

    network: str
    depth: int
    optimizer: str
    start: str
    seed: int


@dataclass(frozen=True)
class Digits:
    """Images (N, 1, 8, 8) in [0, 1] and labels, some to learn from and the rest to judge by."""

    images: Tensor
    labels: Tensor
    judged_images: Tensor
    judged_labels: Tensor


def cases() -> list[Case]:
    """All runs in the order in which they are made: seed by seed, and the deepest networks of each seed last."""
    every = [Case(*case) for case in product(NETWORKS, DEPTHS, OPTIMIZERS, STARTS, range(SEEDS))]
    return sorted(every, key=lambda case: (case.seed, case.depth in LATE_DEPTHS, case.depth))


def measure(result: Path, wanted: Iterable[Case], console: Console | None = None) -> None:
    """Train what has no row yet, and append a row for each run when it ends.

    Columns: those of `Case`, accuracy (%, on images that were not learnt from), loss (mean cross-entropy over the last
    epoch), seconds, commit, command.
    """
    measured = {_case(row) for row in rows(result)}
    missing = [case for case in wanted if case not in measured]
    if not result.exists():
        write_table(result, COLUMNS, [])
    for case in track(missing, "default starts", console=console, disable=console is None):
        row = [*astuple(case), *_train(case), git_commit(), FOLDER.command]
        with result.open("a", newline="") as file:
            csv.writer(file, lineterminator="\n").writerow(row)


def rows(result: Path) -> list[dict[str, str]]:
    """All rows that have been measured."""
    if not result.exists():
        return []
    with result.open(newline="") as file:
        return list(csv.DictReader(file))


def _case(row: Mapping[str, str]) -> Case:
    return Case(row["network"], int(row["depth"]), row["optimizer"], row["start"], int(row["seed"]))


def _train(case: Case) -> tuple[float, float, float]:
    """Accuracy (%), training loss and seconds of one run, by a loop as anybody would write it."""
    started = time.perf_counter()
    torch.manual_seed(case.seed)
    digits = load()
    network = NETWORKS[case.network](case.depth, case.start == AFFINE)
    _begin(network, case.start, digits.images[:BALANCE_IMAGES])
    optimizer = OPTIMIZERS[case.optimizer](network)
    loss = torch.tensor(torch.nan)
    for _ in range(EPOCHS):
        losses = []
        for batch in torch.randperm(len(digits.images)).split(BATCH):
            optimizer.zero_grad()
            loss = F.cross_entropy(network(digits.images[batch]), digits.labels[batch])
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        loss = torch.stack(losses).mean()
    with torch.no_grad():
        correct = network(digits.judged_images).argmax(1) == digits.judged_labels
    seconds = time.perf_counter() - started
    return round(100 * correct.double().mean().item(), 2), float(f"{loss.item():.4g}"), round(seconds, 1)


def _begin(network: nn.Module, start: str, batch: Tensor) -> None:
    """Set the conductances; the layers' own start is there already."""
    if start == "initialize":
        init.initialize(network, batch)
    elif start == "glorot":
        init.glorot_(network)


def load() -> Digits:
    """scikit-learn's digits, split anew for each seed."""
    digits = load_digits()
    images = torch.tensor(digits.images / 16, dtype=torch.float32)[:, None]
    labels = torch.tensor(digits.target)
    learnt, judged = torch.randperm(len(images)).split([TRAINING_IMAGES, len(images) - TRAINING_IMAGES])
    return Digits(images[learnt], labels[learnt], images[judged], labels[judged])


def show() -> None:
    """Write the tables and the figure of what has been measured."""
    measured = rows(FOLDER.result)
    write_text(FOLDER.table, all_starts(measured))
    write_text(DEFAULT_TABLE, default_start(measured))
    write_text(FOLDER.figure, default_start_figure(measured))


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is missing, and show what there is."""
    parser = FOLDER.parser(__doc__)
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"0, 1, ...; 0 seeds train nothing (default: {SEEDS})")
    parser.add_argument("--depths", type=int, nargs="+", default=DEPTHS, choices=DEPTHS, help="train these alone")
    choices = parser.parse_args(arguments)
    torch.set_num_threads(1)
    measure(FOLDER.result, _chosen(choices.seeds, choices.depths), Console())
    if FOLDER.result.exists():
        show()


def _chosen(seeds: int, depths: Sequence[int]) -> Iterator[Case]:
    return (case for case in cases() if case.seed < seeds and case.depth in depths)
