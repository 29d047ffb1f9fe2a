"""The figure of converted networks: accuracy against the step size, a panel for each network."""

from collections.abc import Mapping, Sequence
from statistics import fmean

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from conductance.report.colors import CONDUCTANCES, OTHERS
from conductance.report.svg import figure_style, svg_page

Row = Mapping[str, str]

COLORS = {"affine": OTHERS, "converted": CONDUCTANCES}


def converted_figure(rows: Sequence[Row], chosen: Mapping[tuple[str, str], float]) -> str:
    """A page of SVG: validation accuracy by step, seeds averaged; the chosen steps are marked."""
    networks = list(dict.fromkeys(row["network"] for row in rows))
    judged = [row for row in rows if row["judged"] == "validation"]
    with figure_style():
        figure = Figure(figsize=(7.2, 2.2), facecolor="white", layout="constrained")
        panels = figure.subplots(1, len(networks), sharex=True, sharey=True, squeeze=False)[0]
        for network, axes in zip(networks, panels, strict=True):
            for layers, color in COLORS.items():
                of_line = [row for row in judged if (row["network"], row["layers"]) == (network, layers)]
                _line(axes, of_line, color, layers, chosen.get((network, layers)))
            axes.set_title(network, fontweight="bold")
            axes.set(xscale="log", xlabel="step")
        panels[0].set_ylabel("validation accuracy (%)")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), handlelength=1.8)
        return svg_page(figure)


def _line(axes: Axes, rows: Sequence[Row], color: str, label: str, chosen: float | None) -> None:
    accuracies: dict[float, list[float]] = {}
    for row in rows:
        accuracies.setdefault(float(row["step"]), []).append(float(row["accuracy"]))
    steps = sorted(accuracies)
    means = {step: fmean(accuracies[step]) for step in steps}
    axes.plot(steps, list(means.values()), color=color, marker="o", markersize=2.5, linewidth=1.2, label=label)
    if chosen in means:
        axes.plot([chosen], [means[chosen]], "o", color=color, markersize=6, fillstyle="none")
