"""The result as a table: accuracies of each seed, and differences from the product's interneuron on the same images."""

from collections.abc import Mapping, Sequence
from statistics import fmean

from conductance.report.table import markdown_lines
from studies.shared.answers import JUDGED, JUDGED_RIGHT, by_change, judged

FAMILY = "cwa"
PRODUCT = "pooled"
"""The change that all others in conductance networks are compared with."""
WORDS = {
    "none": "unchanged",
    "pooled": "**pooled interneuron** (`pooled_interneuron=True`)",
    "centered": "centered gradients",
    "pooled, centered": "pooled, centered gradients",
    **{f"pooled, {choice}": f"pooled, {choice}"
       for choice in ("step 0.05", "step 0.2", "momentum 0.85", "momentum 0.98")},
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
    "divisive as well": "one, and another that divides by the mean size of what is left",
    "reads p": "one that reads p, what the units send, instead of z",
    "after the sum": "pooled after the residual sum instead of before it",
}  # fmt: skip
"""What a table calls each change, in its order."""


def table(rows: Sequence[Mapping[str, str]]) -> str:
    """A Markdown table, a line for each network, family and change."""
    cells = []
    for network, family in sorted({(row["network"], row["family"]): None for row in rows}, key=_place):
        own = [row for row in rows if (row["network"], row["family"]) == (network, family)]
        compared = judged(by_change(own), PRODUCT) if family == FAMILY else {}
        unchanged = _by_seed(rows, network, FAMILY, "none")
        for change in sorted({row["change"] for row in own}, key=list(WORDS).index):
            found = _by_seed(rows, network, family, change)
            gains = [found[seed] - unchanged[seed] for seed in sorted(found.keys() & unchanged.keys())]
            cells.append([
                network,
                family,
                WORDS[change],
                ", ".join(f"{found[seed]:.2f}" for seed in sorted(found)),
                "" if (family, change) == (FAMILY, "none") else ", ".join(f"{gain:+.2f}" for gain in gains),
                *compared.get(change, [""] * len(JUDGED)),
                f"{fmean(float(row['training']) for row in own if row['change'] == change):.1f}",
            ])  # fmt: skip
    headings = (
        "Network", "Family", "Interneuron or change", "Validation % of each seed", "Gained", *JUDGED, "Training %"
    )  # fmt: skip
    return markdown_lines(headings, (False, False, False, True, True, *JUDGED_RIGHT, True), cells)


def _place(kind: tuple[str, str]) -> tuple[str, bool]:
    network, family = kind
    return network, family != FAMILY


def _by_seed(rows: Sequence[Mapping[str, str]], network: str, family: str, change: str) -> dict[str, float]:
    own = [row for row in rows if (row["network"], row["family"], row["change"]) == (network, family, change)]
    return {row["seed"]: float(row["validation"]) for row in own}
