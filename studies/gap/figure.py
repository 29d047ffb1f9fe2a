"""How far networks are from a goal: test accuracy beside training accuracy, one line for each configuration."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from conductance.report.colors import CONDUCTANCES, INK, OTHERS
from conductance.report.rows import Row
from conductance.report.svg import figure_style, svg_page

STRICT_FAMILIES = ("cwa", "cwa_li")  # Dale's law, and no normalization layer

STRICT = "test, strict E/I, no normalization"
REST = "test, others"
TRAINING, PUBLISHED, GOAL = "training images", "the paper", "the goal"
LEGEND = (STRICT, REST, TRAINING, PUBLISHED, GOAL)

INCH_A_LINE = 0.19


def gap_figure(rows: Sequence[Row], goals: Mapping[str, float], published: Mapping[tuple[str, str], float]) -> str:
    """A page of SVG, a panel for each architecture among the goals, the best test accuracy on top.

    Args:
        rows: of one data set, each with a finished run.
        goals: test accuracy (%) wanted of each architecture: a dashed line.
        published: what the paper has (%), by architecture and family: a cross at the rows of the presets' names.
    """
    panels = {architecture: [row for row in rows if row.architecture == architecture] for architecture in goals}
    lines = [len(members) + 1 for members in panels.values()]
    with figure_style():
        figure = Figure(figsize=(7.2, INCH_A_LINE * sum(lines) + 1.0), facecolor="white", layout="constrained")
        every = figure.subplots(len(panels), 1, sharex=True, squeeze=False, height_ratios=lines)[:, 0]
        for axes, (architecture, members) in zip(every, panels.items(), strict=True):
            _panel(axes, members, published)
            axes.axvline(goals[architecture], color=INK, linewidth=0.8, linestyle="--", label=GOAL)
            axes.set_title(architecture, loc="left", fontweight="bold")
        every[-1].set_xlabel("accuracy (%)")
        named = {name: handle for axes in every for handle, name in zip(*axes.get_legend_handles_labels(), strict=True)}
        shown = [name for name in LEGEND if name in named]
        handles = [named[name] for name in shown]
        figure.legend(handles, shown, loc="outside lower center", ncols=len(shown), handlelength=1.6)
        return svg_page(figure)


def _panel(axes: Axes, rows: Sequence[Row], published: Mapping[tuple[str, str], float]) -> None:
    ordered = sorted(rows, key=_test)
    for place, row in enumerate(ordered):
        strict = row.family in STRICT_FAMILIES
        _line(axes, place, row, CONDUCTANCES if strict else OTHERS, STRICT if strict else REST)
        paper = published.get((row.architecture, row.family))
        if paper is not None and row.label == row.family:
            axes.plot(paper, place, "x", markersize=4, color=INK, markeredgewidth=0.8, label=PUBLISHED)
    axes.set_yticks(range(len(ordered)), [f"{row.label}, {row.epochs} epochs" for row in ordered])
    axes.set_ylim(-0.6, len(ordered) - 0.4)


def _line(axes: Axes, place: int, row: Row, color: str, kind: str) -> None:
    """From the test images to the training images, with the spread of the seeds."""
    test, training = _test(row), row.train_accuracy or 0.0
    axes.plot([test, training], [place, place], color=color, linewidth=0.8, alpha=0.6)
    axes.errorbar(test, place, xerr=row.test_accuracy_std, color=color, linewidth=1.4)
    axes.plot(test, place, "o", markersize=4, color=color, label=kind)
    axes.plot(training, place, "o", markersize=4, color=color, markerfacecolor="white", label=TRAINING)


def _test(row: Row) -> float:
    return row.test_accuracy or 0.0
