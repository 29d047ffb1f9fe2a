"""The figure of estimators: the score of every seed, a panel for each data set."""

from collections.abc import Mapping, Sequence
from statistics import fmean

from matplotlib.figure import Figure

from conductance.report.colors import CONDUCTANCES, INK, OTHERS
from conductance.report.svg import figure_style, svg_page

Row = Mapping[str, str]


def estimators_figure(rows: Sequence[Row]) -> str:
    """A page of SVG: a dot for each seed, a line at the mean."""
    data, estimators = (list(dict.fromkeys(row[column] for row in rows)) for column in ("data", "estimator"))
    with figure_style():
        figure = Figure(figsize=(7.2, 1.7), facecolor="white", layout="constrained")
        panels = figure.subplots(1, len(data), sharey=True, squeeze=False)[0]
        for each, axes in zip(data, panels, strict=True):
            for place, name in enumerate(estimators):
                scores = [float(row["score"]) for row in rows if (row["data"], row["estimator"]) == (each, name)]
                color = CONDUCTANCES if place == 0 else OTHERS
                axes.plot(scores, [place] * len(scores), "o", color=color, markersize=3, alpha=0.6)
                axes.plot([fmean(scores)] * 2, [place - 0.3, place + 0.3], color=INK, linewidth=1.0)
            axes.set_title(each, fontweight="bold")
            axes.set_xlabel("R² (%)" if each == "diabetes" else "accuracy (%)")
        panels[0].set_yticks(range(len(estimators)), [name.replace(", ", ",\n") for name in estimators])
        panels[0].invert_yaxis()
        return svg_page(figure)
