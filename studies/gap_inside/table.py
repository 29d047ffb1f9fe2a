"""The accuracies as a table: what an interneuron is worth in all layers, and in one alone."""

from collections.abc import Mapping, Sequence
from statistics import fmean

from conductance.report.table import markdown_lines

Row = Mapping[str, str]
UNCHANGED = "cwa"
WORDS = {
    UNCHANGED: "conductances (CWA)",
    "cwa, pooled": "**with a pooled interneuron in each layer**",
    "affine_bn": "affine with BatchNorm",
}


def last_epoch(rows: Sequence[Row], network: str, quantity: str) -> dict[str, float]:
    """A quantity of a network after its last epoch, by seed."""
    chosen = [row for row in rows if (row["network"], row["quantity"]) == (network, quantity)]
    last = max((int(row["when"]) for row in chosen), default=0)
    return {row["seed"]: float(row["value"]) for row in chosen if int(row["when"]) == last}


def table(rows: Sequence[Row]) -> str:
    """A Markdown table, a line for each network; gains are paired by seed."""
    unchanged = last_epoch(rows, UNCHANGED, "validation")
    cells = []
    for network in dict.fromkeys(row["network"] for row in rows):
        validation, training = (last_epoch(rows, network, quantity) for quantity in ("validation", "training"))
        gains = [validation[seed] - unchanged[seed] for seed in sorted(validation.keys() & unchanged.keys())]
        cells.append([
            WORDS.get(network, network),
            ", ".join(f"{validation[seed]:.2f}" for seed in sorted(validation)),
            "" if network == UNCHANGED else ", ".join(f"{gain:+.2f}" for gain in gains),
            f"{fmean(training.values()):.1f}",
        ])  # fmt: skip
    headings = ("Network", "Validation % of each seed", "Gained", "Training %")
    return markdown_lines(headings, (False, True, True, True), cells)
