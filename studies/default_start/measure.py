"""Do networks of default layers learn with torch's optimizers, and from which start?

Fully connected, convolutional and residual networks of 2 to 20 hidden layers learn scikit-learn's digits for 12 epochs.
Each is trained by torch's optimizers and by the package's own, from the layers' own start, from the paper's, and from
one that is balanced on a batch. Networks of torch's own layers stand beside them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from conductance import init
from conductance.files import write_text
from conductance.optim import create_optimizer
from studies.default_start.figure import default_start_figure
from studies.default_start.table import all_starts, default_start
from studies.shared.digits import split_digits
from studies.shared.folder import folder_of
from studies.shared.growing import measure_study, read_rows
from studies.shared.stacks import NETWORKS

FOLDER = folder_of(__file__)
DEFAULT_TABLE = FOLDER.path / "default.md"

DEPTHS = (2, 5, 10, 20)
LATE_DEPTHS = (20,)  # after all others of their seed
SEEDS = 3
EPOCHS, BATCH = 12, 50
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


@dataclass(frozen=True)
class Case:
    """One run: which network of how many hidden layers, which optimizer, which start, which seed."""

    network: str
    depth: int
    optimizer: str
    start: str
    seed: int


def cases() -> list[Case]:
    """All runs in the order in which they are made: seed by seed, and the deepest networks of each seed last."""
    every = [Case(*case) for case in product(NETWORKS, DEPTHS, OPTIMIZERS, STARTS, range(SEEDS))]
    return sorted(every, key=lambda case: (case.seed, case.depth in LATE_DEPTHS, case.depth))


def train(case: Case) -> dict[str, float]:
    """One run, by a loop as anybody would write it.

    Returns:
        accuracy (%, on images that were not learned from) and loss (mean cross-entropy over the last epoch).
    """
    torch.manual_seed(case.seed)
    digits = split_digits()
    network = NETWORKS[case.network](case.depth, affine=case.start == AFFINE)
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
    return {"accuracy": round(100 * correct.double().mean().item(), 2), "loss": float(f"{loss.item():.4g}")}


def _begin(network: nn.Module, start: str, batch: Tensor) -> None:
    """Set the conductances; the layers' own start is there already."""
    if start == "initialize":
        init.initialize(network, batch)
    elif start == "glorot":
        init.glorot_(network)


def show() -> None:
    """Write the tables and the figure of what has been measured."""
    measured = read_rows(FOLDER.result)
    write_text(FOLDER.table, all_starts(measured))
    write_text(DEFAULT_TABLE, default_start(measured))
    write_text(FOLDER.figure, default_start_figure(measured))


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is missing, and show what there is."""
    parser = FOLDER.parser(__doc__, seeds=SEEDS)
    parser.add_argument("--depths", type=int, nargs="+", default=DEPTHS, choices=DEPTHS, help="train these alone")
    choices = parser.parse_args(arguments)
    wanted = [case for case in cases() if case.seed < choices.seeds and case.depth in choices.depths]
    measure_study(FOLDER, wanted, train)
    if read_rows(FOLDER.result):
        show()
