"""What does a converted network learn, beside the affine network that it was made from?

Five networks as other people define them learn scikit-learn's digits with torch's AdamW, as they are and converted by
`conductance.convert`. Each of the ten has its own step size, chosen on images that are held out from training.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import torch
from rich.console import Console
from torch import Tensor, nn
from torch.nn import functional as F

import conductance
from conductance.files import write_text
from studies.converted.figure import converted_figure
from studies.converted.networks import NETWORKS
from studies.converted.table import converted_table
from studies.shared.digits import Digits, split_digits
from studies.shared.folder import folder_of
from studies.shared.growing import measure_missing, read_rows

FOLDER = folder_of(__file__)

EPOCHS, BATCH = 20, 32
STEPS = (1e-3, 3e-3, 6e-3, 1e-2, 2e-2)
SEEDS = 3
VALIDATION_IMAGES = 300
EXAMPLE_IMAGES = 256
LAYERS = ("affine", "converted")


@dataclass(frozen=True)
class Case:
    """One run: of which network, affine as it is or converted; with which step; judged on which images; which seed."""

    network: str
    layers: str
    step: float
    judged: str
    seed: int


def choices(seeds: int = SEEDS, networks: Sequence[str] = tuple(NETWORKS)) -> list[Case]:
    """The runs that choose the steps."""
    return [
        Case(network, layers, step, "validation", seed)
        for seed in range(seeds)
        for network in networks
        for layers in LAYERS
        for step in STEPS
    ]


def finals(rows: Sequence[Mapping[str, str]], seeds: int = SEEDS) -> list[Case]:
    """The runs with the chosen steps, on all training images."""
    return [
        Case(network, layers, step, "test", seed)
        for (network, layers), step in chosen_steps(rows).items()
        for seed in range(seeds)
    ]


def chosen_steps(rows: Sequence[Mapping[str, str]]) -> dict[tuple[str, str], float]:
    """For each network, affine and converted, the step that is best on the validation images, on average over seeds."""
    accuracies: dict[tuple[str, str], dict[float, list[float]]] = {}
    for row in rows:
        if row["judged"] == "validation":
            of_network = accuracies.setdefault((row["network"], row["layers"]), {})
            of_network.setdefault(float(row["step"]), []).append(float(row["accuracy"]))
    return {key: max(by_step, key=lambda step: fmean(by_step[step])) for key, by_step in accuracies.items()}


def train(case: Case) -> dict[str, float]:
    """One run: its accuracy in %, on images that were not learned from."""
    torch.manual_seed(case.seed)
    digits = split_digits() if case.judged == "test" else _held_out(split_digits())
    network = build(case, digits.images[:EXAMPLE_IMAGES])
    optimizer = torch.optim.AdamW(network.parameters(), case.step)
    steps = EPOCHS * -(-len(digits.images) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, case.step, steps)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(digits.images)).split(BATCH):
            optimizer.zero_grad()
            F.cross_entropy(network(digits.images[batch]), digits.labels[batch]).backward()
            optimizer.step()
            schedule.step()
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return {"accuracy": accuracy(network, digits.judged_images, digits.judged_labels), "parameters": parameters}


def build(case: Case, example: Tensor) -> nn.Module:
    """The network of a case, in training mode."""
    network = NETWORKS[case.network]()
    return (conductance.convert(network, example).model if case.layers == "converted" else network).train()


@torch.no_grad()
def accuracy(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """In %."""
    correct = network.eval()(images).argmax(1) == labels
    return round(100 * correct.double().mean().item(), 2)


def _held_out(digits: Digits) -> Digits:
    """The last training images are what is judged; no test image is seen."""
    images, labels = digits.images, digits.labels
    learned = len(images) - VALIDATION_IMAGES
    return Digits(images[:learned], labels[:learned], images[learned:], labels[learned:])


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is missing, and show what there is."""
    parser = FOLDER.parser(__doc__, seeds=SEEDS)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=NETWORKS, help="train these alone")
    chosen = parser.parse_args(arguments)
    console = Console()
    for cases in (
        lambda: choices(chosen.seeds, chosen.networks),
        lambda: finals(read_rows(FOLDER.result), chosen.seeds),
    ):
        measure_missing(FOLDER.result, cases(), train, command=FOLDER.command, console=console)
    rows = read_rows(FOLDER.result)
    if rows:
        write_text(FOLDER.table, converted_table(rows))
        write_text(FOLDER.figure, converted_figure(rows, chosen_steps(rows)))
