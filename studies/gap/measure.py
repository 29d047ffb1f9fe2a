"""What is still missing on CIFAR-10: the networks trained for some epochs beside the paper's and beside the goals."""

import argparse
from pathlib import Path

from conductance.files import write_text
from conductance.report import summarize
from conductance.reproduction.tables import TABLES
from conductance.runs import load_runs
from studies.gap.figure import gap_figure

# Fully connected networks with linear bottlenecks (Z-Lin, arXiv 1511.02580), the paper's CNN with BatchNorm, and
# DeepEISNN, the best E/I network known.
GOALS = {"fcn": 70.0, "cnn": 88.60, "resnet18": 92.06}

LEAST_EPOCHS = 10  # fewer say that a network learns, and nothing about where it ends


def draw_gap(runs: list[Path]) -> str:
    """The figure of the runs on CIFAR-10 of at least `LEAST_EPOCHS`, as a page of SVG."""
    finished = [row for row in summarize(load_runs(runs)) if row.seeds]
    rows = [row for row in finished if row.dataset == "cifar10" and row.epochs >= LEAST_EPOCHS]
    published = {
        (cell.architecture, cell.family): cell.paper
        for cells in TABLES.values()
        for cell in cells
        if cell.dataset == "cifar10"
    }
    return gap_figure(rows, GOALS, published)


def main() -> None:
    """Draw the runs in the given folders."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path, help="run folders, or folders that hold them")
    parser.add_argument("--out", type=Path, required=True, help="the SVG file")
    choices = parser.parse_args()
    write_text(choices.out, draw_gap(choices.runs))


if __name__ == "__main__":
    main()
