"""The figure of membrane potentials in time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from conductance.printable import in_figure
from conductance.report.colors import EXCITATORY, INHIBITORY, INK
from conductance.report.svg import figure_style, svg_page


@dataclass(frozen=True)
class LayerPanel:
    """What is drawn of a layer.

    Attributes:
        name: of the layer.
        units: their numbers.
        potentials: V in mV of each of them over time.
        steady: V of eq. 1 in mV of each of them.
        reversal_potentials: of its synapses, in mV, each once.
        threshold: where its units begin to open synapses, in mV; None for none.
        spikes: the times in ms at which each of some neurons that it reads fired; none without spikes.
    """

    name: str
    units: Sequence[int]
    potentials: Sequence[Sequence[float]]
    steady: Sequence[float]
    reversal_potentials: Sequence[float]
    threshold: float | None
    spikes: Sequence[Sequence[float]] = ()


def potentials_figure(time: Sequence[float], panels: Sequence[LayerPanel], image: Any, caption: str) -> str:
    """Draw membrane potentials in time as a page of SVG: a column for each layer, dots where eq. 1 puts them.

    Args:
        time: in ms.
        panels: the layers, at least one.
        image: what is shown to the network, (height, width), or with three channels last, in [0, 1].
        caption: of the image.
    """
    rasters = any(panel.spikes for panel in panels)
    columns = {"width_ratios": [0.8, *(1 for _ in panels)], "height_ratios": [1.6, 1] if rasters else [1]}
    with figure_style():
        size = 1.6 + 1.5 * len(panels), 4.2 if rasters else 2.9
        figure = Figure(figsize=size, facecolor="white", layout="constrained")
        grid = figure.subplots(1 + rasters, 1 + len(panels), squeeze=False, gridspec_kw=columns)
        _draw_image(grid[0][0], image, caption)
        for row in grid[1:]:
            row[0].set_axis_off()
        for number, panel in enumerate(panels):
            first, last = number == 0, number == len(panels) - 1
            _draw_potentials(grid[0][1 + number], time, panel, panels, labeled=first, explained=last)
            if rasters:
                _draw_spikes(grid[1][1 + number], time, panel, labeled=first)
        return svg_page(figure)


def _draw_image(axes: Axes, image: Any, caption: str) -> None:
    axes.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.set(xticks=[], yticks=[], title=in_figure(caption), xlabel="dots: eq. 1")


def _draw_potentials(
    axes: Axes,
    time: Sequence[float],
    panel: LayerPanel,
    panels: Sequence[LayerPanel],
    *,
    labeled: bool,
    explained: bool,
) -> None:
    for number, (unit, V, at_rest) in enumerate(zip(panel.units, panel.potentials, panel.steady, strict=True)):
        shade = colormaps["viridis"](0.85 * number / max(1, len(panel.units) - 1))
        axes.plot(time, V, color=shade, linewidth=0.9, label=f"{unit}")
        axes.plot([time[-1]], [at_rest], color=shade, marker="o", markersize=3, clip_on=False)
    levels = _levels(panel)
    for potential, (_, color) in levels.items():
        axes.axhline(potential, color=color, linewidth=0.7, linestyle=":" if color != INK else "--", zorder=0)
    if explained:
        of_all = {potential: level for each in panels for potential, level in _levels(each).items()}
        for potential, (meaning, color) in of_all.items():
            axes.annotate(
                f"{meaning} {potential:g} mV".replace("-", "\N{MINUS SIGN}"),
                (1.04, potential),
                xycoords=("axes fraction", "data"),
                color=color,
                va="center",
                annotation_clip=False,
            )
    lowest, highest = (end(V for p in panels for V in (*_levels(p), *p.steady)) for end in (min, max))
    margin = 0.05 * (highest - lowest)
    axes.set(
        title=in_figure(panel.name), xlabel="time (ms)", xlim=(0, time[-1]), ylim=(lowest - margin, highest + margin)
    )
    axes.legend(title="unit", loc="upper center", bbox_to_anchor=(0.5, -0.28), ncols=2, handlelength=1, fontsize=7)
    if labeled:
        axes.set_ylabel("membrane potential (mV)")
    else:
        axes.tick_params(labelleft=False)


def _levels(panel: LayerPanel) -> dict[float, tuple[str, str]]:
    """What lines across a panel mean, and their colors, by potential in mV."""
    middle = (max(panel.reversal_potentials) + min(panel.reversal_potentials)) / 2
    levels = {
        potential: ("excitation", EXCITATORY) if potential > middle else ("inhibition", INHIBITORY)
        for potential in panel.reversal_potentials
    }
    if panel.threshold is not None:
        levels[panel.threshold] = ("threshold", INK)
    return levels


def _draw_spikes(axes: Axes, time: Sequence[float], panel: LayerPanel, *, labeled: bool) -> None:
    if not panel.spikes:
        axes.set_axis_off()
        return
    axes.eventplot(list(panel.spikes), colors=INK, linewidths=0.5, linelengths=0.8)
    axes.set(
        title=in_figure(f"spikes onto {panel.name}"),
        xlabel="time (ms)",
        xlim=(0, time[-1]),
        ylim=(len(panel.spikes) - 0.5, -0.5),
        yticks=[],
    )
    if labeled:
        axes.set_ylabel("presynaptic neurons")
