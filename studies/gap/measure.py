"""How far are the networks trained on CIFAR-10 from the best networks of their kind in the literature?

Nothing is trained: the figure shows the runs in ``results/``, beside the paper's accuracies and the references.
"""

from collections.abc import Sequence
from pathlib import Path

from conductance.files import write_text
from conductance.report import summarize
from conductance.reproduction.paper import TABLES
from conductance.runs import load_runs
from studies.gap.figure import Reference, gap_figure
from studies.shared.folder import folder_of

FOLDER = folder_of(__file__)
RESULTS = Path(__file__).parents[2] / "results"
RUNS = [
    *(RESULTS / folder for folder in ("presets", "short", "beyond/longer", "beyond/taught")),
    *sorted((RESULTS / "pooled").glob("*-pooled-*")),
]

# Fully connected networks with linear bottlenecks (arXiv 1511.02580), the paper's own CNN with BatchNorm, and the best
# network of excitatory and inhibitory units known.
REFERENCES = {
    "fcn": Reference(70.0, "Z-Lin (Lin et al. 2015)"),
    "cnn": Reference(88.60, "BatchNorm in the paper"),
    "resnet18": Reference(92.06, "DeepEISNN"),
}

LEAST_EPOCHS = 10  # fewer say that a network learns, and nothing about where it ends


def draw_gap(runs: Sequence[Path]) -> str:
    """The figure of the runs on CIFAR-10 of at least `LEAST_EPOCHS`, as a page of SVG.

    Args:
        runs: run folders, or folders that hold them.
    """
    finished = [row for row in summarize(load_runs(runs)) if row.seeds]
    rows = [row for row in finished if row.dataset == "cifar10" and row.epochs >= LEAST_EPOCHS]
    published = {
        (cell.architecture, cell.family): cell.paper
        for cells in TABLES.values()
        for cell in cells
        if cell.dataset == "cifar10"
    }
    return gap_figure(rows, REFERENCES, published)


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw the checked-in runs."""
    FOLDER.parser(__doc__).parse_args(arguments)
    write_text(FOLDER.figure, draw_gap(RUNS))
