"""Differences with their intervals as a figure: a panel for each place, a line for each condition."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from conductance.report.colors import CONDUCTANCES, INK, OTHERS
from conductance.report.svg import figure_style, svg_page
from studies.shared.lines import Line


def intervals_figure(found: Sequence[Line], reference: str) -> str:
    """A page of SVG. What stands after Holm's correction is in color."""
    places = list(dict.fromkeys(line.place for line in found))
    names = list(dict.fromkeys(line.condition for line in found if line.difference is not None))
    with figure_style():
        figure = Figure(figsize=(7.2, 0.17 * len(names) + 0.9), facecolor="white", layout="constrained")
        panels = figure.subplots(1, len(places), sharey=True, squeeze=False)[0]
        for place, axes in zip(places, panels, strict=True):
            axes.axvline(0, color=INK, linewidth=0.5)
            for line in found:
                if line.place == place and line.difference is not None:
                    each, y = line.difference, -names.index(line.condition)
                    color = OTHERS if line.verdict == "undecided" else CONDUCTANCES
                    axes.plot([each.low, each.high], [y, y], color=color, linewidth=1.2)
                    axes.plot(each.points, y, "o", color=color, markersize=3)
            axes.set_title(", ".join(place), fontweight="bold")
        panels[0].set_yticks([-i for i in range(len(names))], names)
        figure.supxlabel(f"points of test accuracy above {reference}, with 95 % intervals", fontsize=8)
        return svg_page(figure)
