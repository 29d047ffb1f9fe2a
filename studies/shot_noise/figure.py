"""The figure of the shot noise: how far spike trains take the mean membrane potential from eq. 1."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, StrMethodFormatter

from conductance.report.colors import EXCITATORY, INHIBITORY, INK
from conductance.report.svg import figure_style, svg_page

INPUTS = {"excitation": EXCITATORY, "inhibition": INHIBITORY, "both": INK}

Row = Mapping[str, str]
Points = Sequence[tuple[float, Row]]


def shot_noise_figure(table: Path) -> str:
    """Draw the table as a page of SVG: the shift against the synapses, and against all spikes that arrive.

    Markers are simulations with their standard error, lines the second order of theory.
    """
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    with figure_style():
        figure = Figure(figsize=(7.2, 3.0), facecolor="white", layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True)
        _against_synapses(left, [row for row in rows if row["input"] == "excitation"])
        _against_spikes(right, rows)
        left.set_ylabel("distance of the mean potential from eq. 1 (mV)")
        return svg_page(figure)


def _against_synapses(axes: Axes, rows: Iterable[Row]) -> None:
    rates: dict[float, list[tuple[float, Row]]] = {}
    for row in rows:
        rates.setdefault(float(row["rate"]), []).append((float(row["synapses"]), row))
    for i, (rate, points) in enumerate(rates.items()):
        shade = colormaps["Reds"](0.35 + 0.6 * i / max(1, len(rates) - 1))
        _draw(axes, points, shade, f"{rate:g} spikes/s per synapse")
    axes.plot([], [], color=INK, linewidth=1.0, label="theory, second order")
    axes.set_xlabel("number of excitatory synapses (20 nS in all)")
    axes.legend(loc="lower left", handlelength=1.2)


def _against_spikes(axes: Axes, rows: Sequence[Row]) -> None:
    for name, color in INPUTS.items():
        points = [(float(row["synapses"]) * float(row["rate"]), row) for row in rows if row["input"] == name]
        below = float(points[0][1]["shift"]) < 0
        _draw(
            axes,
            sorted(points, key=lambda point: point[0]),
            color,
            f"{name}: mean {'below' if below else 'above'} eq. 1",
        )
    axes.set_xlabel("spikes/s that arrive, of each kind")
    axes.legend(loc="lower left", handlelength=1.2)


def _draw(axes: Axes, points: Points, color: str | tuple[float, ...], label: str) -> None:
    x = [place for place, _ in points]
    shift, error, theory = (
        [abs(float(row[name])) for _, row in points] for name in ("shift", "standard_error", "second_order")
    )
    axes.plot(x, theory, color=color, linewidth=1.0)
    axes.errorbar(x, shift, error, color=color, linestyle="none", marker="o", markersize=3, elinewidth=0.8, label=label)
    axes.set(xscale="log", yscale="log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.set_minor_formatter(NullFormatter())
