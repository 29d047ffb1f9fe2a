"""Learning curves: accuracy over epochs, a line for each configuration with a band over its seeds."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator, StrMethodFormatter

from conductance.printable import in_figure
from conductance.report.colors import INK
from conductance.report.svg import figure_style, to_svg
from conductance.runs.groups import Group

DASHED = (0, (3, 2))
MARKERS = ("", "o", "s", "^", "D", "v")
ACCURACIES = (100, 99.5, 99, 98, 97, 96, 95, *range(90, -10, -10))
FINEST = 0.25  # errors (%) well below this are drawn at the same height


@dataclass(frozen=True)
class CurvePanel:
    """One data set and architecture."""

    title: str
    svg: str


def curve_panels(groups: Iterable[Group], colors: Mapping[str, str]) -> list[CurvePanel]:
    """A panel for each data set and architecture with finished runs; `groups` must be sorted by them."""
    shown = [group for group in groups if any(run.epochs for run in group.finished)]
    with figure_style():
        return [
            _panel(f"{dataset} · {architecture}", list(members), colors)
            for (dataset, architecture), members in groupby(shown, lambda g: (g.dataset, g.architecture))
        ]


def _panel(title: str, groups: Sequence[Group], colors: Mapping[str, str]) -> CurvePanel:
    figure = Figure(figsize=(4.6, 3.1))
    axes = figure.add_axes((0.115, 0.14, 0.865, 0.83))
    drawn: dict[str, int] = {}
    for group in groups:
        marker = MARKERS[drawn.get(group.family, 0) % len(MARKERS)]
        drawn[group.family] = drawn.get(group.family, 0) + 1
        _draw(axes, group, colors[group.family], marker, _label(group, groups))
    axes.plot([], [], color=INK, linewidth=1.0, linestyle=DASHED, label="training images")
    if axes.dataLim.x1 == 1:  # the last epoch
        axes.set_xlim(0, 2)
    axes.set_xlabel("epoch")
    axes.set_ylabel("accuracy (%)")
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    _widen_towards_100(axes)
    axes.grid(axis="y", color=INK, alpha=0.12, linewidth=0.6)
    for text in axes.legend(loc="best", handlelength=1.8, labelspacing=0.35).get_texts():
        text.set_parse_math(False)
    return CurvePanel(title, to_svg(figure, f"Learning curves for {title}: accuracy against epoch"))


def _label(group: Group, panel: Sequence[Group]) -> str:
    """The label of the tables, and the number of epochs if the family has several in this panel."""
    lengths = {other.epochs for other in panel if other.family == group.family}
    epochs = [f"{group.epochs} epochs"] if len(lengths) > 1 else []
    return " · ".join([group.label, *epochs])


def _widen_towards_100(axes: Axes) -> None:
    """A scale on which halving the errors raises a curve by about the same step everywhere."""
    low, high = (float(accuracy) for accuracy in axes.dataLim.intervaly)
    low = max(0.0, min(low, high - 1.0))
    high = max(high, low + 1.0)
    margin = 0.03 * (_rise(high) - _rise(low))
    axes.set_yscale("function", functions=(_rise, _fall))
    axes.set_ylim(max(0.0, float(_fall(_rise(low) - margin))), min(100.1, float(_fall(_rise(high) + margin))))
    axes.yaxis.set_major_locator(FixedLocator(_round_accuracies(low, high)))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_locator(NullLocator())


def _rise(accuracy: Any) -> Any:
    return -np.log(np.maximum(100 + FINEST - accuracy, FINEST / 10))


def _fall(height: Any) -> Any:
    return 100 + FINEST - np.exp(-height)


def _round_accuracies(low: float, high: float) -> list[float]:
    """Ticks from the top down, far enough apart for their labels."""
    ticks: list[float] = []
    room = 0.07 * (_rise(high) - _rise(low))
    for accuracy in ACCURACIES:
        if low <= accuracy <= high and (not ticks or _rise(ticks[-1]) - _rise(accuracy) >= room):
            ticks.append(accuracy)
    return ticks


def _draw(axes: Axes, group: Group, color: str, marker: str, label: str) -> None:
    epochs, test = _over_seeds(group, "test_accuracy")
    _, train = _over_seeds(group, "train_accuracy")
    alone = len(epochs) == 1  # a line with one point would be invisible
    mark = "_" if alone else ""
    axes.plot(epochs, train.mean(axis=0), color=color, linewidth=1.0, linestyle=DASHED, marker=mark)
    axes.plot(
        epochs,
        test.mean(axis=0),
        color=color,
        linewidth=1.6,
        marker="o" if alone else marker,
        markersize=3.5,
        markevery=max(1, len(epochs) // 8),
        label=in_figure(label),
    )
    if len(test) > 1:
        middle, spread = test.mean(axis=0), test.std(axis=0, ddof=1)
        axes.fill_between(epochs, middle - spread, middle + spread, color=color, alpha=0.2, linewidth=0)


def _over_seeds(group: Group, quantity: str) -> tuple[list[int], np.ndarray]:
    """The epochs that all seeds have, and the quantity at each of them: one row for each seed."""
    seeds = [{epoch["epoch"]: epoch[quantity] for epoch in run.epochs} for run in group.finished]
    shared = sorted(set.intersection(*(set(seed) for seed in seeds)))
    return shared, np.array([[seed[epoch] for epoch in shared] for seed in seeds], dtype=float)
