"""Timings as rows of a table, with the geometric mean over all cases of each contender."""

from collections.abc import Sequence
from statistics import geometric_mean

from conductance.bench.rounds import Timing

TIMING_COLUMNS = ("case", "contender", "ms", "ratio", "quartiles", "product rate", "MB", "memory")


def timing_rows(timings: Sequence[Timing]) -> list[tuple[str, ...]]:
    """One row each, then one for each contender's geometric mean."""
    rows = [_row(timing) for timing in timings]
    for name in dict.fromkeys(t.contender for t in timings):
        own = [t for t in timings if t.contender == name]
        ratio, memory = geometric_mean(t.ratio for t in own), geometric_mean(t.memory_ratio for t in own)
        worst = f"worst {max(t.ratio for t in own):.3f}"
        rows.append(("geometric mean", name, "", f"{ratio:.3f}", worst, "", "", f"{memory:.2f}"))
    return rows


def _row(t: Timing) -> tuple[str, ...]:
    quartiles, rate = f"{t.low:.3f} to {t.high:.3f}", f"{100 * t.product_rate:.0f} %"
    memory = f"{t.megabytes:.1f}", f"{t.memory_ratio:.2f}"
    return t.case, t.contender, f"{t.milliseconds:.2f}", f"{t.ratio:.3f}", quartiles, rate, *memory
