"""The figure of the default starts: accuracy against depth, a panel for each network and optimizer."""

from collections.abc import Mapping, Sequence
from statistics import fmean

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from conductance.report.colors import FAMILIES, INK
from conductance.report.svg import figure_style, svg_page

Row = Mapping[str, str]

STARTS = {
    "default": (FAMILIES[0], "-", "default layers"),
    "initialize": (FAMILIES[1], "-", "init.initialize on a batch"),
    "glorot": (FAMILIES[2], "-", "the paper's start"),
    "torch's own layers": (INK, "--", "torch's own layers"),
}


def default_start_figure(rows: Sequence[Row]) -> str:
    """A page of SVG: networks side by side, optimizers one below the other, a line for each start, seeds averaged."""
    networks, optimizers, depths = (list(dict.fromkeys(row[name] for row in rows)) for name in _GRID)
    with figure_style():
        size = (7.2, 1.15 * len(optimizers) + 0.9)
        figure = Figure(figsize=size, facecolor="white", layout="constrained")
        panels = figure.subplots(len(optimizers), len(networks), sharex=True, sharey=True, squeeze=False)
        places = sorted(map(int, depths))
        for optimizer, across in zip(optimizers, panels, strict=True):
            for network, axes in zip(networks, across, strict=True):
                _lines(axes, [row for row in rows if (row["network"], row["optimizer"]) == (network, optimizer)])
                axes.set(xscale="log", ylim=(0, 102))
                axes.set_xticks(places, list(map(str, places)), minor=False)
                axes.minorticks_off()
            across[0].set_ylabel(f"{optimizer.replace(', ', chr(10))}\naccuracy (%)")
        for network, axes in zip(networks, panels[0], strict=True):
            axes.set_title(network, fontweight="bold")
        for axes in panels[-1]:
            axes.set_xlabel("hidden layers")
        handles, labels = panels[0][0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), handlelength=1.8)
        return svg_page(figure)


_GRID = ("network", "optimizer", "depth")


def _lines(axes: Axes, rows: Sequence[Row]) -> None:
    for start, (color, line, label) in STARTS.items():
        accuracies: dict[int, list[float]] = {}
        for row in rows:
            if row["start"] == start:
                accuracies.setdefault(int(row["depth"]), []).append(float(row["accuracy"]))
        depths = sorted(accuracies)
        means = [fmean(accuracies[depth]) for depth in depths]
        axes.plot(depths, means, line, color=color, marker="o", markersize=2.5, linewidth=1.2, label=label)
