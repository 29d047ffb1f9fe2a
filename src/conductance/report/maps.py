"""Maps of a trained network's layers: each unit's excitation against its inhibition, and receptive fields."""

from collections.abc import Sequence
from math import ceil, floor

import numpy as np
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from conductance.analysis.fields import unpacked_fields
from conductance.analysis.internals import BALANCE_EDGES, TOTAL_EDGES
from conductance.report.colors import EXCITATORY, INHIBITORY, INK
from conductance.runs.schema import Record

WIDTH, COLUMNS, DOTS = 9.6, 6, 144
LARGEST, SMALLEST = 70.0, 3.0
"""Areas of dots, in square points."""


def balance_maps(layers: Sequence[Record]) -> Figure:
    """A panel for each layer: mean E' of each unit to the right, mean I' upwards, both logarithmic.

    A dot stands for all units of one bin; its area grows with their number. The dots are one picture (not an element
    each), so that a page with many networks opens at once.
    """
    figure, panels = _panels(len(layers), 1.75)
    for axes, layer in zip(panels, layers, strict=True):
        if not layer["balance"]:
            continue
        total, balance, units = (np.asarray(column) for column in zip(*layer["balance"], strict=True))
        T = np.sqrt(np.multiply(TOTAL_EDGES[:-1], TOTAL_EDGES[1:]))[total]
        b = (np.add(BALANCE_EDGES[:-1], BALANCE_EDGES[1:]) / 2)[balance]
        E, I = T * (1 + b) / 2, T * (1 - b) / 2
        low = 10.0 ** floor(np.log10(min(E.min(), I.min())))
        high = 10.0 ** ceil(np.log10(max(E.max(), I.max())))
        axes.plot([low, high], [low, high], color=INK, linewidth=0.6, alpha=0.5)
        areas = SMALLEST + (LARGEST - SMALLEST) * units / units.max()
        colors = np.where(E > I, EXCITATORY, INHIBITORY)
        axes.scatter(E, I, s=areas, c=colors, alpha=0.55, linewidths=0, rasterized=True)
        axes.set(xscale="log", yscale="log", xlim=(low, high), ylim=(low, high), xlabel="excitation E'")
        axes.set_title(layer["name"], parse_math=False, pad=3, fontsize=7)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(LogLocator(numticks=4))
            axis.set_minor_locator(NullLocator())
    for axes in panels[::COLUMNS]:
        axes.set_ylabel("inhibition I'")
    return figure


def field_maps(layers: Sequence[Record]) -> Figure | None:
    """A panel for each layer that sees images: a column for each of its first units, excitation above inhibition.

    None where no fields were recorded: by runs of earlier versions, or because no layer sees images.
    """
    seen = [layer for layer in layers if layer.get("fields")]
    if not seen:
        return None
    figure, panels = _panels(len(seen), 0.95)
    for axes, layer in zip(panels, seen, strict=True):
        axes.imshow(_tiles(unpacked_fields(layer["fields"])), interpolation="nearest", aspect="equal")
        axes.set_title(layer["name"], parse_math=False, pad=3, fontsize=7)
        axes.set_axis_off()
    return figure


def _tiles(fields: np.ndarray) -> np.ndarray:
    """Fields (2, units, height, width) side by side as one picture of RGBA values, with a gap between two of them."""
    _, units, height, width = fields.shape
    gap = max(1, width // 12)
    picture = np.zeros((2 * height + gap, units * (width + gap) - gap, 4))
    for row, color in enumerate((EXCITATORY, INHIBITORY)):
        for unit in range(units):
            top, left = row * (height + gap), unit * (width + gap)
            tile = picture[top : top + height, left : left + width]
            tile[..., :3] = to_rgba(color)[:3]
            tile[..., 3] = 0.05 + 0.95 * np.sqrt(fields[row, unit])  # weak synapses are seen too
    return picture


def _panels(number: int, height: float) -> tuple[Figure, list]:
    rows = ceil(number / COLUMNS)
    figure = Figure(figsize=(WIDTH, rows * height), dpi=DOTS, layout="constrained")
    panels = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for spare in panels[number:]:
        spare.set_axis_off()
    return figure, list(panels[:number])
