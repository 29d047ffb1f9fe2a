"""The figure: where the gap opens in time and depth, and what a pooled interneuron does inside."""

from collections.abc import Sequence
from statistics import fmean

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from conductance.report.colors import FAMILIES, INK
from conductance.report.svg import figure_style, svg_page
from studies.gap_inside.table import Row

SHOWN = {
    "cwa": ("conductances", FAMILIES[0]),
    "cwa, pooled": ("conductances, pooled interneuron", FAMILIES[1]),
    "affine_bn": ("affine with BatchNorm", INK),
}


def gap_inside_figure(rows: Sequence[Row]) -> str:
    """Four panels as a page of SVG: accuracy in time, readouts in depth, common mode, directions of the gradient."""
    with figure_style():
        figure = Figure(figsize=(7.6, 5.8), facecolor="white", layout="constrained")
        ((time, depth), (alike, gradient)) = figure.subplots(2, 2)
        _in_time(time, rows)
        time.set_title("When does the gap open?", fontweight="bold")
        time.set(xlabel="epoch", ylabel="accuracy on images held out (%)")
        _in_depth(depth, rows, "readout")
        depth.set_title("In which layer does it open?", fontweight="bold")
        depth.set_ylabel("accuracy of a linear readout (%)")
        _in_depth(alike, rows, "common mode")
        alike.set_title("Do all units of a layer do the same?", fontweight="bold")
        alike.set(ylabel="share of z² in one pattern (1: they do)", ylim=(0, 1.02))
        _in_depth(gradient, rows, "gradient")
        gradient.set_title("How many directions has the gradient?", fontweight="bold")
        gradient.set(ylabel="stable rank, as a share of the largest", yscale="log")
        handles, labels = depth.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3, handlelength=1.8)
        return svg_page(figure)


def _in_time(axes: Axes, rows: Sequence[Row]) -> None:
    for network, (words, color) in SHOWN.items():
        places, values = _means(rows, network, "validation", "when")
        axes.plot(places, values, marker="o", markersize=3, linewidth=1.2, color=color, label=words)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _in_depth(axes: Axes, rows: Sequence[Row], quantity: str) -> None:
    """Dotted before training, solid after the last epoch."""
    last = max((int(row["when"]) for row in rows), default=0)
    for network, (words, color) in SHOWN.items():
        for when, line, label in ((0, ":", None), (last, "-", words)):
            chosen = [row for row in rows if int(row["when"]) == when]
            places, values = _means(chosen, network, quantity, "layer")
            axes.plot(places, values, line, marker="o", markersize=3, linewidth=1.2, color=color, label=label)
    axes.set_xlabel("layer")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _means(rows: Sequence[Row], network: str, quantity: str, along: str) -> tuple[list[int], list[float]]:
    """The means over seeds, by epoch or layer."""
    found: dict[int, list[float]] = {}
    for row in rows:
        if (row["network"], row["quantity"]) == (network, quantity):
            found.setdefault(int(row[along]), []).append(float(row["value"]))
    places = sorted(found)
    return places, [fmean(found[place]) for place in places]
