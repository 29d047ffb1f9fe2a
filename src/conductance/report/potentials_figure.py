"""The figure of membrane potentials in time."""

from collections.abc import Mapping, Sequence

from matplotlib import colormaps
from matplotlib.figure import Figure

from conductance.report.svg import figure_style, svg_page


def potentials_figure(
    time: Sequence[float], potentials: Mapping[str, Sequence[Sequence[float]]], steady: Mapping[str, Sequence[float]]
) -> str:
    """Draw membrane potentials in time as a page of SVG: a panel for each layer, dots where eq. 1 puts them.

    Args:
        time: in ms.
        potentials: V in mV of some units of each layer, a list over time for each.
        steady: V of eq. 1 in mV of the same units.
    """
    with figure_style():
        figure = Figure(figsize=(7.2, 2.6), facecolor="white", layout="constrained")
        panels = figure.subplots(1, len(potentials), sharey=True, squeeze=False)[0]
        for axes, (name, curves) in zip(panels, potentials.items(), strict=True):
            for i, (V, V_steady) in enumerate(zip(curves, steady[name], strict=True)):
                shade = colormaps["viridis"](0.85 * i / max(1, len(curves) - 1))
                axes.plot(time, V, color=shade, linewidth=0.9)
                axes.plot([time[-1]], [V_steady], color=shade, marker="o", markersize=3, clip_on=False)
            axes.set(title=name, xlabel="ms", xlim=(0, time[-1]))
        panels[0].set_ylabel("membrane potential (mV)")
        return svg_page(figure)
