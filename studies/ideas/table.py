"""What each idea is worth: differences on the same images, with intervals of images and seeds, corrected (Holm)."""

from collections.abc import Mapping, Sequence
from statistics import fmean

from conductance.report.table import markdown_lines
from studies.shared.answers import JUDGED, JUDGED_RIGHT, NOT_JUDGED, by_change, judged

UNCHANGED = "none"
MEANS = {"Validation %": "validation", "with mirror images": "mirrored", "Training %": "training"}


def table(rows: Sequence[Mapping[str, str]]) -> str:
    """A Markdown table, a line for each network and change, compared with the unchanged preset of the network."""
    cells = []
    for network in dict.fromkeys(row["network"] for row in rows):
        here = [row for row in rows if row["network"] == network]
        compared = judged(by_change(here), UNCHANGED)
        for change in dict.fromkeys(row["change"] for row in here):
            own = [row for row in here if row["change"] == change]
            means = [f"{fmean(float(row[name]) for row in own):.2f}" for name in MEANS.values()]
            cells.append([network, change, *means, *compared.get(change, NOT_JUDGED), str(len(own))])
    headings = ("Network", "Change", *MEANS, *JUDGED, "Seeds")
    return markdown_lines(headings, (False, False, *[True] * len(MEANS), *JUDGED_RIGHT, True), cells)
