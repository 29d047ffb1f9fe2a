"""The tables of the default starts: what each network learns, by optimizer, start and depth."""

from collections.abc import Mapping, Sequence
from statistics import fmean

from conductance.report.rows import spread
from conductance.report.table import markdown_lines

Row = Mapping[str, str]


def all_starts(rows: Sequence[Row]) -> str:
    """A line for each network, optimizer and start; a column for each depth."""
    return _table(rows, ("network", "optimizer", "start"))


def default_start(rows: Sequence[Row]) -> str:
    """The layers' own start alone."""
    return _table([row for row in rows if row["start"] == "default"], ("network", "optimizer"))


def _table(rows: Sequence[Row], names: Sequence[str]) -> str:
    depths = sorted({int(row["depth"]) for row in rows})
    accuracies: dict[tuple[str, ...], dict[int, list[float]]] = {}
    for row in rows:
        of_depth = accuracies.setdefault(tuple(row[name] for name in names), {})
        of_depth.setdefault(int(row["depth"]), []).append(float(row["accuracy"]))
    ordered = sorted(accuracies.items(), key=lambda line: _place(rows, line[0][0]))
    lines = [[*key, *(_cell(of_depth.get(depth, [])) for depth in depths)] for key, of_depth in ordered]
    headings = [*(name.capitalize() for name in names), *(f"{depth} layers" for depth in depths)]
    return markdown_lines(headings, [False] * len(names) + [True] * len(depths), lines)


def _place(rows: Sequence[Row], network: str) -> int:
    """Networks in the order in which they were measured, each with all its lines together."""
    return list(dict.fromkeys(row["network"] for row in rows)).index(network)


def _cell(accuracies: Sequence[float]) -> str:
    """The mean in %, and the standard deviation where there are several seeds."""
    if not accuracies:
        return ""
    deviation = spread(accuracies)
    return f"{fmean(accuracies):.1f}" + ("" if deviation is None else f" ± {deviation:.1f}")
