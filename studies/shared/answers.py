"""How far changes lie above a reference on the same images, by the answers that rows keep."""

from collections.abc import Mapping, Sequence

import numpy as np

from conductance.report.comparing import Correct, compare, holm, seed_spread
from conductance.report.table import NOTHING
from studies.shared.packing import unpacked

SIGNIFICANCE = 0.05
JUDGED = ("Difference", "95 % interval", "p (Holm)", "Verdict")
"""Headings of what `judged` says of a change."""
JUDGED_RIGHT = (True, True, True, False)
NOT_JUDGED = [NOTHING] * len(JUDGED)


def by_change(rows: Sequence[Mapping[str, str]], field: str = "change") -> dict[str, list[np.ndarray]]:
    """The answers of each change, seed by seed; rows have the columns ``field`` and ``correct``, which may be empty."""
    found: dict[str, list[np.ndarray]] = {}
    for row in rows:
        if row["correct"]:
            found.setdefault(row[field], []).append(unpacked(row["correct"]))
    return found


def judged(answers: Mapping[str, Correct], reference: str) -> dict[str, list[str]]:
    """Cells for the columns `JUDGED`, of each change whose answers are known: how far it lies above a reference.

    The spread of seeds is pooled over all changes. A change is better or worse where two seeds or more say so at p <
    0.05, corrected for all changes (Holm).
    """
    changed = [change for change in answers if change != reference and reference in answers]
    spread = seed_spread(answers.values())
    compared = [compare(answers[change], answers[reference], spread=spread) for change in changed]
    cells = {}
    for change, found, p in zip(changed, compared, holm([each.p for each in compared]), strict=True):
        decided = p < SIGNIFICANCE and min(found.seeds) > 1
        verdict = ("better" if found.difference > 0 else "worse") if decided else "undecided"
        cells[change] = [f"{found.difference:+.2f}", f"{found.low:+.2f} to {found.high:+.2f}", f"{p:.3f}", verdict]
    return cells
