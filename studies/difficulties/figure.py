"""The figures of docs/training.md, from results/difficulties.csv and results/ablation.csv."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from conductance.report.colors import CONDUCTANCES, FAMILIES, INK, OTHERS
from conductance.report.svg import figure_style, svg_page

Row = dict[str, str]
BASELINES = {"affine": (INK, "--"), "affine + BN": (INK, "-")}


def difficulties_figure(table: Path) -> str:
    """Four panels as a page of SVG: common mode, active units, spectra of the gradient, silent synapses."""
    rows = _read(table)
    with figure_style():
        figure = Figure(figsize=(7.6, 5.4), facecolor="white", layout="constrained")
        ((common, active), (gradient, silent)) = figure.subplots(2, 2)
        _by_layer(common, rows, "common mode", "common mode")
        _by_layer(active, rows, "active", "share of units above 0")
        _spectra(gradient, rows)
        _silent(silent, rows)
        handles, labels = common.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3, handlelength=1.8)
        return svg_page(figure)


def _by_layer(axes: Axes, rows: Sequence[Row], quantity: str, label: str) -> None:
    for name, style, chosen in _networks(rows, quantity):
        layers = sorted({int(row["layer"]) for row in chosen})
        values = [mean(_values(row for row in chosen if int(row["layer"]) == layer)) for layer in layers]
        axes.plot(layers, values, label=name, marker="o", markersize=3, linewidth=1.2, **style)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("layer, at the start")
    axes.set_ylabel(label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _spectra(axes: Axes, rows: Sequence[Row]) -> None:
    for name, style, chosen in _networks(rows, "gradient"):
        ranks = sorted({int(row["place"]) for row in chosen})
        values = [mean(_values(row for row in chosen if int(row["place"]) == rank)) for rank in ranks]
        axes.plot(ranks, values, label=name, linewidth=1.2, **style)
    axes.set(xscale="log", yscale="log", ylim=(1e-3, 1.2))
    axes.set_xlabel("rank, gradient of layer 3 at the start")
    axes.set_ylabel("singular value, over the first")


def _silent(axes: Axes, rows: Sequence[Row]) -> None:
    for quantity, line in (("silent", "-"), ("returned", "--")):
        for i, name in enumerate(sorted({row["network"] for row in rows if row["quantity"] == quantity})):
            chosen = [row for row in rows if row["quantity"] == quantity and row["network"] == name]
            epochs = sorted({int(row["place"]) for row in chosen})
            values = [100 * mean(_values(row for row in chosen if int(row["place"]) == epoch)) for epoch in epochs]
            said = "at 0" if quantity == "silent" else "of these, open an epoch later"
            axes.plot(epochs, values, line, color=FAMILIES[i], linewidth=1.2, label=f"{name}: {said}")
    axes.set_xlabel("epoch (digits, CNN)")
    axes.set_ylabel("synapses (%)")
    axes.set_ylim(0, 115)
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


def ablation_figure(table: Path) -> str:
    """Bars as a page of SVG: validation accuracy of every change to the recipe, its seeds as dots."""
    rows = _read(table)
    bars: dict[str, dict[tuple[str, str], list[float]]] = {}
    for row in rows:
        of_network = bars.setdefault(row["architecture"], {})
        of_network.setdefault((row["family"], row["change"]), []).append(float(row["validation"]))
    most = max(map(len, bars.values()))
    with figure_style():
        figure = Figure(figsize=(3.8 * len(bars) + 1.2, 0.19 * most + 0.8), facecolor="white", layout="constrained")
        for axes, (name, accuracies) in zip(figure.subplots(1, len(bars), squeeze=False)[0], bars.items(), strict=True):
            _bars(axes, accuracies, most)
            axes.set_xlabel(f"validation accuracy (%), {name}, {rows[0]['epochs']} epochs")
        return svg_page(figure)


def _bars(axes: Axes, accuracies: dict[tuple[str, str], list[float]], room: int) -> None:
    """The best on top, each as high as if there were ``room`` of them."""
    ordered = sorted(accuracies.items(), key=lambda bar: mean(bar[1]))
    for place, ((family, change), seeds) in enumerate(ordered):
        color, opacity = CONDUCTANCES if family == "cwa" else OTHERS, 1.0 if change == "none" else 0.55
        axes.barh(place, mean(seeds), color=color, alpha=opacity)
        axes.plot(seeds, [place] * len(seeds), "|", color=INK, markersize=4, markeredgewidth=0.8)
    axes.set_yticks(
        range(len(ordered)), [family if change == "none" else f"{family}: {change}" for (family, change), _ in ordered]
    )
    learnt = [value for value in (mean(seeds) for _, seeds in ordered) if value > 15]
    left = max(0.0, min(learnt, default=0) - 5)
    axes.set_xlim(left=left)
    for place, (_, seeds) in enumerate(ordered):
        if mean(seeds) <= left:  # its bar ends outside
            axes.text(left, place, f" {mean(seeds):.1f}", va="center", color=INK)
    axes.set_ylim(len(ordered) - room - 0.6, len(ordered) - 0.4)


def _read(table: Path) -> list[Row]:
    with table.open(newline="") as file:
        return list(csv.DictReader(file))
