"""The figure of the difficulties: a panel for each of four questions about networks before and during training."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from conductance.report.colors import FAMILIES, INK
from conductance.report.svg import figure_style, svg_page

Row = dict[str, str]
BASELINES = {"affine": (INK, "--"), "affine + BN": (INK, "-")}

WORDS = {
    "affine": "affine units",
    "affine + BN": "affine units with BatchNorm",
    "CWA, Glorot around 1": "conductances: the paper's start",
    "CWA, log-normal": "conductances: heavy-tailed start",
    "CWA, log-normal, balanced": "heavy-tailed and balanced",
    "CWA, log-normal, balanced, twins": "heavy-tailed, balanced, twins",
}
FORMS = {"h rectified": "G = max(1 + g, 0)", "h projected": "G = g, clamped at 0", "h clamped": "G = max(g, 0)"}
"""What the legends call the networks and the forms of G of the result."""


def difficulties_figure(table: Path) -> str:
    """Four panels as a page of SVG: common mode, active units, spectra of the gradient, closed synapses."""
    rows = _read(table)
    with figure_style():
        figure = Figure(figsize=(7.6, 6.0), facecolor="white", layout="constrained")
        ((alike, active), (gradient, closed)) = figure.subplots(2, 2)
        _by_layer(alike, rows, "common mode")
        alike.set_title("Do all units of a layer do the same?", fontweight="bold")
        alike.set_ylabel("share of z² in one pattern (1: they do)")
        _by_layer(active, rows, "active")
        active.set_title("How many units are open?", fontweight="bold")
        active.set_ylabel("share of units with z > 0")
        _spectra(gradient, rows)
        gradient.set_title("How many directions has the gradient?", fontweight="bold")
        _closed(closed, rows)
        closed.set_title("Do closed synapses open again?", fontweight="bold")
        handles, labels = alike.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3, handlelength=1.8)
        return svg_page(figure)


def _by_layer(axes: Axes, rows: Sequence[Row], quantity: str) -> None:
    for name, style, chosen in _networks(rows, quantity):
        layers = sorted({int(row["layer"]) for row in chosen})
        values = [mean(_values(row for row in chosen if int(row["layer"]) == layer)) for layer in layers]
        axes.plot(layers, values, label=WORDS.get(name, name), marker="o", markersize=3, linewidth=1.2, **style)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("layer, before training")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _spectra(axes: Axes, rows: Sequence[Row]) -> None:
    for name, style, chosen in _networks(rows, "gradient"):
        ranks = sorted({int(row["place"]) for row in chosen})
        values = [mean(_values(row for row in chosen if int(row["place"]) == rank)) for rank in ranks]
        axes.plot(ranks, values, label=WORDS.get(name, name), linewidth=1.2, **style)
    axes.set(xscale="log", yscale="log", ylim=(1e-3, 1.2))
    axes.set_xlabel("direction (singular vector of layer 3's gradient)")
    axes.set_ylabel("strength, relative to the strongest")


def _closed(axes: Axes, rows: Sequence[Row]) -> None:
    for quantity, line in (("silent", "-"), ("returned", "--")):
        for i, name in enumerate(sorted({row["network"] for row in rows if row["quantity"] == quantity})):
            chosen = [row for row in rows if row["quantity"] == quantity and row["network"] == name]
            epochs = sorted({int(row["place"]) for row in chosen})
            values = [100 * mean(_values(row for row in chosen if int(row["place"]) == epoch)) for epoch in epochs]
            words = FORMS.get(name, name)
            label = f"closed, {words}" if quantity == "silent" else f"open an epoch later, {words}"
            axes.plot(epochs, values, line, color=FAMILIES[i], linewidth=1.2, label=label)
    axes.set_xlabel("epoch of training (CNN, digits)")
    axes.set_ylabel("synapses (%)")
    axes.set_ylim(-3, 125)
    axes.set_yticks(range(0, 101, 20))
    axes.legend(loc="upper left", handlelength=1.8)


def _networks(rows: Sequence[Row], quantity: str) -> Iterable[tuple[str, dict[str, Any], list[Row]]]:
    names = list(dict.fromkeys(row["network"] for row in rows if row["quantity"] == quantity))
    own = iter(FAMILIES)
    for name in names:
        color, line = BASELINES.get(name) or (next(own), "-")
        chosen = [row for row in rows if row["quantity"] == quantity and row["network"] == name]
        yield name, {"color": color, "linestyle": line}, chosen


def _values(rows: Iterable[Row]) -> list[float]:
    return [float(row["value"]) for row in rows]


def _read(table: Path) -> list[Row]:
    with table.open(newline="") as file:
        return list(csv.DictReader(file))
