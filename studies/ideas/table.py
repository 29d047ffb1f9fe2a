"""What each idea is worth: differences on the same images, with intervals of images and seeds, corrected (Holm)."""

from collections.abc import Mapping, Sequence
from statistics import fmean

from conductance.report.comparing import compare, holm
from conductance.report.table import NOTHING, markdown_lines
from studies.shared.answers import by_change

UNCHANGED = "none"
SIGNIFICANCE = 0.05


def table(rows: Sequence[Mapping[str, str]]) -> str:
    """A Markdown table, a line for each change.

    A change is better or worse where two seeds or more say so at p < 0.05, corrected for all changes.
    """
    answers = by_change(rows)
    changed = [change for change in answers if change != UNCHANGED and UNCHANGED in answers]
    compared = {change: compare(answers[change], answers[UNCHANGED]) for change in changed}
    p_values = dict(zip(changed, holm([compared[change].p for change in changed]), strict=True))
    cells = []
    for change in answers:
        own = [row for row in rows if row["change"] == change]
        judged = [NOTHING] * 4
        if change in compared:
            found, p = compared[change], p_values[change]
            decided = p < SIGNIFICANCE and min(found.seeds) > 1
            verdict = ("better" if found.difference > 0 else "worse") if decided else "undecided"
            judged = [f"{found.difference:+.2f}", f"{found.low:+.2f} to {found.high:+.2f}", f"{p:.3f}", verdict]
        means = [f"{fmean(float(row[name]) for row in own):.2f}" for name in ("validation", "mirrored", "training")]
        cells.append([change, *means, *judged, str(len(own))])
    headings = (
        "Change", "Validation %", "with mirror images", "Training %", "Difference", "95 % interval", "p (Holm)",
        "Verdict", "Seeds",
    )  # fmt: skip
    return markdown_lines(headings, (False, True, True, True, True, True, True, False, True), cells)
