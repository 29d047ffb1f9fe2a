"""The table of estimators: score and seconds on each data set."""

from collections.abc import Mapping, Sequence
from statistics import fmean

from conductance.report.rows import spread
from conductance.report.table import markdown_lines, with_spread

Row = Mapping[str, str]


def estimators_table(rows: Sequence[Row]) -> str:
    """A line for each data set; for each estimator its score, mean ± deviation over seeds, and the seconds of `fit`."""
    names, data = (list(dict.fromkeys(row[column] for row in rows)) for column in ("estimator", "data"))
    first, second = names[:2]
    lines = []
    for each in data:
        scores = {name: _of(rows, each, name, "score") for name in names}
        cells = [with_spread(fmean(scores[name]), spread(scores[name])) for name in names]
        seconds = [f"{fmean(_of(rows, each, name, 'fit_seconds')):.1f}" for name in names]
        lines.append([each, *cells, f"{fmean(scores[first]) - fmean(scores[second]):+.1f}", *seconds])
    headings = ["Data", *names, f"{first} - {second}", *(f"{name}: s" for name in names)]
    return markdown_lines(headings, [False] + [True] * (2 * len(names) + 1), lines)


def _of(rows: Sequence[Row], data: str, estimator: str, column: str) -> list[float]:
    return [float(row[column]) for row in rows if (row["data"], row["estimator"]) == (data, estimator)]
