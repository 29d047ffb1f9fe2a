"""Timings as rows of a table, with the geometric mean over all cases of each contender."""

from collections.abc import Sequence
from statistics import geometric_mean

from conductance.bench.rounds import Timing

TIMING_COLUMNS = ("case", "contender", "ms", "ratio", "quartiles")


def timing_rows(timings: Sequence[Timing]) -> list[tuple[str, ...]]:
    """One row each, then one for each contender's geometric mean."""
    rows: list[tuple[str, ...]] = [
        (t.case, t.contender, f"{t.milliseconds:.2f}", f"{t.ratio:.3f}", f"{t.low:.3f} to {t.high:.3f}")
        for t in timings
    ]
    for name in dict.fromkeys(t.contender for t in timings):
        ratios = [t.ratio for t in timings if t.contender == name]
        worst = f"worst {max(ratios):.3f}"
        rows.append(("geometric mean", name, "", f"{geometric_mean(ratios):.3f}", worst))
    return rows
