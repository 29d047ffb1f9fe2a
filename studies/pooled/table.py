"""The result as a table: means over seeds, and differences paired by seed."""

from collections.abc import Mapping, Sequence
from statistics import fmean

from conductance.report.table import markdown_lines

WORDS = {
    "none": "unchanged",
    "pooled": "**pooled interneuron** (`pooled_interneuron=True`)",
    "centered": "centered gradients",
    "pooled, centered": "pooled, centered gradients",
    "pooled, start without data": "pooled, the layers' own start instead of one balanced on a batch",
    "z - m": "z - m, which is no average",
    "all positions": "one interneuron for a whole layer (m over positions too)",
    "two pools": "two: of the excitatory and of the inhibitory units",
    "eight groups": "eight, each of every eighth unit",
    "learnt pooling": "one that learns conductances from the units to itself",
    "learnt strength": "one whose strength is learned, by layer",
    "recurrent": "one that reads what it acts on, at rest",
    "recurrent, 8 times as strong": "the same, eight times as strong",
    "two slices": "one that acts a slice of time later, for two slices",
    "after the sum": "pooled after the residual sum instead of before it",
    "divisive as well": "one, and another that divides by the mean size of what is left",
    "reads p": "one that reads p, what the units send, instead of z",
}


def table(rows: Sequence[Mapping[str, str]]) -> str:
    """A Markdown table, a line for each network, family and change, in the order of the rows."""
    measured: dict[tuple[str, str, str], dict[str, tuple[float, float]]] = {}
    for row in sorted(rows, key=lambda row: (row["network"], row["family"] != "cwa")):
        case = row["network"], row["family"], row["change"]
        measured.setdefault(case, {})[row["seed"]] = float(row["validation"]), float(row["training"])
    cells = []
    for (network, family, change), by_seed in measured.items():
        unchanged = measured.get((network, "cwa", "none"), {})
        gains = [by_seed[seed][0] - unchanged[seed][0] for seed in sorted(by_seed.keys() & unchanged.keys())]
        is_reference = (family, change) == ("cwa", "none")
        cells.append([
            network,
            family,
            WORDS.get(change, change),
            ", ".join(f"{by_seed[seed][0]:.2f}" for seed in sorted(by_seed)),
            "" if is_reference or not gains else ", ".join(f"{gain:+.2f}" for gain in gains),
            f"{fmean(training for _, training in by_seed.values()):.1f}",
        ])  # fmt: skip
    headings = ("Network", "Family", "Interneuron or change", "Validation % of each seed", "Gained", "Training %")
    return markdown_lines(headings, (False, False, False, True, True, True), cells)
