"""How well does a recurrent conductance layer read digits row by row, beside torch's, and how slow should its units be?

scikit-learn's digits as sequences of 8 rows of 8 pixels. 128 units, the last step read out; 20 epochs in batches of 64,
one cycle of the step size.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import torch
from rich.console import Console
from torch import Tensor, nn
from torch.nn import functional as F

from conductance.files import write_text
from conductance.nn import CWARNN
from conductance.optim import create_optimizer
from conductance.report.table import markdown_lines
from studies.shared.digits import split_digits
from studies.shared.folder import folder_of
from studies.shared.growing import measure_missing, read_rows

FOLDER = folder_of(__file__)

EPOCHS, BATCH, UNITS, PIXELS, CLASSES = 20, 64, 128, 8, 10
SEEDS = 3
TIMES = (1.0, 10.0, 30.0, 100.0, 1000.0)
NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "RNN": lambda: nn.RNN(PIXELS, UNITS, batch_first=True),
    "GRU": lambda: nn.GRU(PIXELS, UNITS, batch_first=True),
    **{f"CWARNN, {tau:g}": lambda tau=tau: CWARNN(PIXELS, UNITS, batch_first=True, tau_membrane=tau) for tau in TIMES},  # type: ignore[misc]
}
ADAM_STEPS = {"RNN": 1e-3, "GRU": 3e-3}
COLUMNS = ("network", "seed", "accuracy", "seconds", "commit", "command")


@dataclass(frozen=True)
class Case:
    """One run: which recurrent layer, which seed."""

    network: str
    seed: int


class LastStep(nn.Module):
    """A recurrent layer and a readout of its last step."""

    def __init__(self, recurrent: nn.Module) -> None:
        super().__init__()
        self.recurrent, self.readout = recurrent, nn.Linear(UNITS, CLASSES)

    def forward(self, rows: Tensor) -> Tensor:
        """(N, rows, pixels) to (N, classes)."""
        output, _ = self.recurrent(rows)
        return self.readout(output[:, -1])


def train(case: Case) -> dict[str, float]:
    """One run: its accuracy in %, on images that were not learned from."""
    torch.manual_seed(case.seed)
    digits = split_digits()
    rows, judged = digits.images.squeeze(1), digits.judged_images.squeeze(1)
    network = LastStep(NETWORKS[case.network]())
    step = ADAM_STEPS.get(case.network)
    optimizer = create_optimizer(network) if step is None else torch.optim.Adam(network.parameters(), step)
    highest = [group["lr"] for group in optimizer.param_groups]
    updates = EPOCHS * -(-len(rows) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, highest, updates, pct_start=0.1, cycle_momentum=False)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(rows)).split(BATCH):
            optimizer.zero_grad()
            F.cross_entropy(network(rows[batch]), digits.labels[batch]).backward()
            optimizer.step()
            schedule.step()
    with torch.no_grad():
        correct = network(judged).argmax(1) == digits.judged_labels
    return {"accuracy": round(100 * correct.double().mean().item(), 2)}


def markdown(measured: Sequence[Mapping[str, str]]) -> str:
    """A line for each network: mean and lowest accuracy over seeds, and seconds of a run."""
    lines = []
    for name in NETWORKS:
        found = [row for row in measured if row["network"] == name]
        if found:
            accuracies = [float(row["accuracy"]) for row in found]
            seconds = fmean(float(row["seconds"]) for row in found)
            lines.append([name, f"{fmean(accuracies):.1f}", f"{min(accuracies):.1f}", f"{seconds:.0f}"])
    return markdown_lines(["Layer", "Accuracy", "Lowest", "Seconds"], [False, True, True, True], lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is missing, on one thread, and write the table."""
    parser = FOLDER.parser(__doc__)
    parser.add_argument("--seeds", type=int, default=SEEDS, help="of the %(default)s, how many to measure")
    seeds = parser.parse_args(arguments).seeds
    wanted = [Case(network, seed) for seed in range(seeds) for network in NETWORKS]
    measure_missing(FOLDER.result, COLUMNS, wanted, train, command=FOLDER.command, console=Console())
    write_text(FOLDER.table, markdown(read_rows(FOLDER.result)))
