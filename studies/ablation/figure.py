"""The figure of the ablation: the changes that matter most to each network, and other families beside it."""

from collections.abc import Sequence
from statistics import fmean

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from conductance.report.colors import CONDUCTANCES, INK, OTHERS
from conductance.report.svg import figure_style, svg_page
from studies.shared.comparison import Case, Comparison

MOST = 10  # changes shown for each network
FAMILIES = {
    "affine_bn": "other network: affine units with BatchNorm",
    "absnorm": "other network: signed synapses (AbsNorm)",
    "affine": "other network: affine units",
}
NETWORKS = {"cnn": "CNN", "fcn": "Fully connected network"}


def ablation_figure(ablation: Comparison, left_out: Sequence[str] = ()) -> str:
    """Bars as a page of SVG: points of accuracy that each change brings or costs, a dot for each seed.

    A panel for each network: the `MOST` changes to the conductance network with the largest differences, the best on
    top, and above them the other families, unchanged.

    Args:
        ablation: with its result.
        left_out: changes that are not to be shown, for they are made to another network.
    """
    shown = {architecture: _shown(ablation, architecture, left_out) for architecture in _architectures(ablation)}
    rows = [len(cases) for cases in shown.values()]
    with figure_style():
        figure = Figure(figsize=(7.2, 0.19 * sum(rows) + 1.4), facecolor="white", layout="constrained")
        every = figure.subplots(len(shown), 1, squeeze=False, height_ratios=rows)[:, 0]
        for axes, (architecture, cases) in zip(every, shown.items(), strict=True):
            unchanged = fmean(ablation.accuracies()[architecture, "cwa", ablation.unchanged])
            _bars(axes, ablation, cases, unchanged)
            axes.set_title(
                f"{NETWORKS[architecture]}, {unchanged:.1f} % without a change", loc="left", fontweight="bold"
            )
        every[-1].set_xlabel(
            f"difference in accuracy on held-out images after {ablation.rows()[0]['epochs']} epochs (points)"
        )
        return svg_page(figure)


def _architectures(ablation: Comparison) -> list[str]:
    return list(dict.fromkeys(architecture for architecture, _, _ in ablation.accuracies()))


def _shown(ablation: Comparison, architecture: str, left_out: Sequence[str]) -> list[Case]:
    """From the bottom to the top."""
    measured = [case for case in ablation.accuracies() if case[0] == architecture]
    changed = [case for case in measured if case[1] == "cwa" and case[2] not in (ablation.unchanged, *left_out)]
    largest = sorted(changed, key=lambda case: -abs(_difference(ablation, case)))[:MOST]
    others = [case for case in measured if case[1] in FAMILIES and case[2] == ablation.unchanged]
    return [*_worst_first(ablation, largest), *_worst_first(ablation, others)]


def _worst_first(ablation: Comparison, cases: Sequence[Case]) -> list[Case]:
    return sorted(cases, key=lambda case: _mean(ablation, case))


def _mean(ablation: Comparison, case: Case) -> float:
    return fmean(ablation.accuracies()[case])


def _difference(ablation: Comparison, case: Case) -> float:
    return _mean(ablation, case) - _mean(ablation, (case[0], "cwa", ablation.unchanged))


def _bars(axes: Axes, ablation: Comparison, cases: Sequence[Case], unchanged: float) -> None:
    for place, case in enumerate(cases):
        seeds = [value - unchanged for value in ablation.accuracies()[case]]
        axes.barh(place, fmean(seeds), color=CONDUCTANCES if case[1] == "cwa" else OTHERS, alpha=0.6)
        axes.plot(seeds, [place] * len(seeds), "o", color=INK, markersize=2.5, markeredgewidth=0)
    axes.axvline(0, color=INK, linewidth=0.8)
    labels = [
        ablation.words.get(change, change) if family == "cwa" else FAMILIES[family] for _, family, change in cases
    ]
    axes.set_yticks(range(len(cases)), labels)
    axes.set_ylim(-0.6, len(cases) - 0.4)
