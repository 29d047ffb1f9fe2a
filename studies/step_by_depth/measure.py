"""How does the best step size of `create_optimizer` depend on the depth of a network?

Stacks of default layers, 2 to 20 deep, learn scikit-learn's digits with several step sizes, all constant.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import get_args

import torch
from torch.nn import functional as F

from conductance.files import write_text
from conductance.optim import create_optimizer
from conductance.optim.create import default_lr
from conductance.optim.optimizer import RuleName
from conductance.report.table import markdown_lines
from studies.shared.digits import split_digits
from studies.shared.folder import folder_of
from studies.shared.growing import measure_study, read_rows
from studies.shared.stacks import NETWORKS

FOLDER = folder_of(__file__)

EPOCHS, BATCH = 12, 50
SHALLOW_STEP = 0.1
STEPS = (SHALLOW_STEP, 0.025, 0.00625)
SEEDS = 3
DEPTHS = {"FCN": (2, 5, 10, 20), "CNN": (5, 10, 20)}
RULES: dict[str, Sequence[RuleName]] = {"FCN": get_args(RuleName), "CNN": ("muon",)}


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


def train(case: Case) -> dict[str, float]:
    """One run: its accuracy in %, on images that were not learned from."""
    torch.manual_seed(case.seed)
    digits = split_digits()
    network = NETWORKS[case.network](case.depth)
    optimizer = create_optimizer(network, case.rule, case.step)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(digits.images)).split(BATCH):
            optimizer.zero_grad()
            F.cross_entropy(network(digits.images[batch]), digits.labels[batch]).backward()
            optimizer.step()
    with torch.no_grad():
        correct = network(digits.judged_images).argmax(1) == digits.judged_labels
    return {"accuracy": round(100 * correct.double().mean().item(), 2)}


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
    wanted = [case for case in cases() if case.seed < seeds]
    measure_study(FOLDER, wanted, train)
    write_text(FOLDER.table, markdown(read_rows(FOLDER.result)))
