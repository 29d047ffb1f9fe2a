"""The figure of the drift: how much of each layer's activity no longer depends on the image, step by step."""

import csv
from collections.abc import Sequence
from pathlib import Path
from statistics import mean

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from conductance.report.svg import figure_style, svg_page

Row = dict[str, str]


def drift_figure(table: Path) -> str:
    """Draw the table as a page of SVG: a panel for each kind of gradient, a line for each layer, seeds averaged."""
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    last = max(int(row["layer"]) for row in rows)
    shade = ScalarMappable(Normalize(1, last), colormaps["viridis"])
    with figure_style():
        figure = Figure(figsize=(7.2, 3.0), facecolor="white", layout="constrained")
        panels = figure.subplots(1, 2, sharey=True)
        for axes, gradients in zip(panels, ("plain", "centered"), strict=True):
            _layers(axes, [row for row in rows if row["gradients"] == gradients], shade)
            axes.set_title(f"{gradients} gradients")
        panels[0].set_ylabel("share of z² that is the same for all images")
        panels[0].set_ylim(0, 1)
        figure.colorbar(shade, ax=list(panels), label="layer, 1 reads the image", ticks=range(1, last + 1, 3))
        return svg_page(figure)


def _layers(axes: Axes, rows: Sequence[Row], shade: ScalarMappable) -> None:
    values: dict[int, dict[int, list[float]]] = {}
    for row in rows:
        values.setdefault(int(row["layer"]), {}).setdefault(int(row["step"]), []).append(float(row["offset"]))
    for layer, steps in values.items():
        color = tuple(shade.to_rgba(np.asarray(layer)))
        axes.plot(list(steps), [mean(seeds) for seeds in steps.values()], color=color, linewidth=1.1)
    axes.set_xlabel("training step")
