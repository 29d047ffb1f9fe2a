"""The figure of a network as membranes: its accuracy in time, and how far its potentials lie from the equation's."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

from conductance.report.colors import INK
from conductance.report.svg import figure_style, svg_page

Row = Mapping[str, str]


def membranes_figure(accuracies: Path, layers: Path) -> str:
    """Draw the two tables of `studies.membranes.measure` as a page of SVG.

    Left, accuracy against simulated time, without spikes and with spikes of several greatest rates; right, how far mean
    potentials lie from the network's z, layer by layer.
    """
    curves = _by_rate([row for row in _rows(accuracies) if row["mode"] == "spiking" or float(row["time"]) < 1000])
    distances = _by_rate([row for row in _rows(layers) if row["mode"] == "spiking"])
    shades = _shades([rate for rate in curves if rate])
    with figure_style():
        figure = Figure(figsize=(7.2, 3.0), facecolor="white", layout="constrained")
        left, right = figure.subplots(1, 2)
        for rate, rows in curves.items():
            label = f"at most {float(rate):,.0f} spikes/s" if rate else "no spikes"
            times, accuracy = ([float(row[name]) for row in rows] for name in ("time", "accuracy"))
            left.plot(times, accuracy, color=shades.get(rate, INK), linewidth=1.2, label=label)
        network = float(next(iter(curves.values()))[0]["network_accuracy"])
        left.axhline(network, color=INK, linewidth=0.8, linestyle=":", label="network, not simulated")
        left.set(xlabel="simulated time (ms)", ylabel="accuracy by the mean output so far (%)", xlim=0)
        left.legend(loc="lower right", handlelength=1.2)
        for rate, rows in distances.items():
            right.plot(
                range(1, len(rows) + 1),
                [float(row["rms"]) for row in rows],
                color=shades[rate],
                linewidth=1.2,
                marker="o",
                markersize=3,
            )
        right.set(yscale="log", xlabel="hidden layer", ylabel="distance of mean potential from eq. 1 (mV)")
        right.xaxis.set_major_locator(MaxNLocator(integer=True))
        right.yaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
        right.yaxis.set_minor_formatter(NullFormatter())
        right.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        return svg_page(figure)


def _rows(table: Path) -> list[dict[str, str]]:
    with table.open(newline="") as file:
        return list(csv.DictReader(file))


def _by_rate(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """The rows of each greatest rate; "" for constant open probabilities."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row["rate_max"], []).append(row)
    return groups


def _shades(names: Sequence[str]) -> dict[str, tuple[float, ...]]:
    return {name: colormaps["viridis"](0.85 * i / max(1, len(names) - 1)) for i, name in enumerate(reversed(names))}
