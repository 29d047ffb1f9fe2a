"""The figure of the gap: test accuracy beside training accuracy and references, one line for each configuration."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from conductance.report.colors import CONDUCTANCES, INK, OTHERS
from conductance.report.rows import Row
from conductance.report.svg import figure_style, svg_page

STRICT_FAMILIES = ("cwa", "cwa_li")  # Dale's law, and no normalization layer

STRICT = "test images, conductances under Dale's law, no normalization"
REST = "test images, other networks"
TRAINING, PUBLISHED = "training images", "the paper's test accuracy"
LEGEND = (STRICT, REST, TRAINING, PUBLISHED)

NETWORKS = {"fcn": "Fully connected network", "cnn": "CNN", "resnet18": "ResNet-18"}
FAMILIES = {
    "cwa": "conductances",
    "cwa_li": "conductances, lateral inhibition",
    "cwa_bn": "conductances with BatchNorm",
    "absnorm": "signed synapses (AbsNorm)",
    "affine": "affine",
    "affine_bn": "affine with BatchNorm",
}
RUNS = {
    "pooled": "a pooled interneuron",
    "pooled-longer": "a pooled interneuron",
    "taught": "a teacher",
    "taught-long": "a teacher",
    "taught-longer": "a teacher",
    "taught-dropout": "a teacher, dropout",
    "taught-by-resnet": "a ResNet as teacher",
    "45000": "45,000 images",
    "long": "bfloat16",
    "quarter": "a quarter of the channels",
}
"""What is special about the runs whose names say more than the preset's."""

INCH_A_LINE = 0.19


@dataclass(frozen=True)
class Reference:
    """A test accuracy in % from the literature, and what has it."""

    accuracy: float
    source: str


def gap_figure(
    rows: Sequence[Row], references: Mapping[str, Reference], published: Mapping[tuple[str, str], float]
) -> str:
    """A page of SVG, a panel for each architecture among the references, the best test accuracy on top.

    Args:
        rows: of one data set, each with a finished run.
        references: for each architecture: a dashed line.
        published: what the paper has (%), by architecture and family: a cross at the rows of the presets' names.
    """
    panels = {architecture: [row for row in rows if row.architecture == architecture] for architecture in references}
    lines = [len(members) + 1 for members in panels.values()]
    with figure_style():
        figure = Figure(figsize=(7.2, INCH_A_LINE * sum(lines) + 1.6), facecolor="white", layout="constrained")
        every = figure.subplots(len(panels), 1, sharex=True, squeeze=False, height_ratios=lines)[:, 0]
        for axes, (architecture, members) in zip(every, panels.items(), strict=True):
            _panel(axes, members, published)
            reference = references[architecture]
            axes.axvline(reference.accuracy, color=INK, linewidth=0.8, linestyle="--", label=reference.source)
            axes.set_title(NETWORKS.get(architecture, architecture), loc="left", fontweight="bold")
            axes.set_title(f"dashed line: {reference.accuracy:g}, {reference.source}", loc="right")
        every[-1].set_xlabel("accuracy on CIFAR-10 (%)")
        named = {name: handle for axes in every for handle, name in zip(*axes.get_legend_handles_labels(), strict=True)}
        shown = [name for name in LEGEND if name in named]
        figure.legend([named[name] for name in shown], shown, loc="outside lower center", ncols=2, handlelength=1.6)
        return svg_page(figure)


def _panel(axes: Axes, rows: Sequence[Row], published: Mapping[tuple[str, str], float]) -> None:
    ordered = sorted(rows, key=_test)
    for place, row in enumerate(ordered):
        strict = row.family in STRICT_FAMILIES
        _line(axes, place, row, CONDUCTANCES if strict else OTHERS, STRICT if strict else REST)
        paper = published.get((row.architecture, row.family))
        if paper is not None and row.label == row.family:
            axes.plot(paper, place, "x", markersize=4, color=INK, markeredgewidth=0.8, label=PUBLISHED)
    axes.set_yticks(range(len(ordered)), [_words(row) for row in ordered])
    axes.set_ylim(-0.6, len(ordered) - 0.4)


def _words(row: Row) -> str:
    """What was trained, how, and for how long."""
    family, _, run = row.label.partition(" · ")
    parts = [FAMILIES.get(family, family), RUNS.get(run, run), f"{row.epochs} epochs"]
    return ", ".join(part for part in parts if part)


def _line(axes: Axes, place: int, row: Row, color: str, kind: str) -> None:
    """From the test images to the training images, with the spread of the seeds."""
    test, training = _test(row), row.train_accuracy or 0.0
    axes.plot([test, training], [place, place], color=color, linewidth=0.8, alpha=0.6)
    axes.errorbar(test, place, xerr=row.test_accuracy_std, color=color, linewidth=1.4)
    axes.plot(test, place, "o", markersize=4, color=color, label=kind)
    axes.plot(training, place, "o", markersize=4, color=color, markerfacecolor="white", label=TRAINING)


def _test(row: Row) -> float:
    return row.test_accuracy or 0.0
