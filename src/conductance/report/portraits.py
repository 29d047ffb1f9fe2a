"""Inside the neurons: the conductances, states and outputs of a trained network, a figure for each quantity."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator, StrMethodFormatter

from conductance.analysis.internals import BALANCE_EDGES, CONDUCTANCE_EDGES, P_EDGES, Z_EDGES
from conductance.printable import in_figure
from conductance.report.colors import EXCITATORY, INHIBITORY, INK
from conductance.report.maps import balance_maps, field_maps
from conductance.report.svg import figure_style, to_svg
from conductance.runs.groups import Group
from conductance.runs.run import Run
from conductance.runs.schema import Record

WIDTH, HEAD, ROW, PLOT, FOOT = 2.9, 0.3, 0.92, 0.5, 0.42
LEFT, RIGHT = 0.16, 0.1
GRID_WIDTH = 10.0

Draw = Callable[[Axes, Record], None]


@dataclass(frozen=True)
class Column:
    """One quantity, a panel for each layer."""

    title: str
    svg: str


@dataclass(frozen=True)
class Portrait:
    """The figures of one trained network."""

    group: Group
    seed: int
    images: int
    columns: list[Column]
    maps: list[Column]


def portraits(groups: Iterable[Group]) -> list[Portrait]:
    """One portrait for each configuration: of the lowest seed that has recorded internals."""
    with figure_style():
        return [_portrait(group, run) for group in groups for run in _recorded(group)[:1]]


def grid_figure(layers: Sequence[Record]) -> Figure:
    """All quantities of some layers in one figure: a column for each quantity, a row for each layer.

    Args:
        layers: of a run's internals; the one nearest the input comes first.
    """
    figure = Figure(figsize=(GRID_WIDTH, ROW * len(layers) + FOOT))
    panels = figure.subplots(len(layers), len(QUANTITIES), squeeze=False)
    for row, layer in zip(panels, layers, strict=True):
        for axes, (_, _, draw) in zip(row, QUANTITIES, strict=True):
            draw(axes, layer)
            _dress(axes, "")
        heading = f"{layer['name']}: {layer['units']} units, {layer['fan_in']} synapses each"
        row[0].set_title(in_figure(heading), loc="left", pad=3)
    for axes, (_, label, _) in zip(panels[-1], QUANTITIES, strict=True):
        axes.set_xlabel(label)
    for axes, (title, _, _) in zip(panels[0], QUANTITIES, strict=True):
        axes.annotate(title, (0, 1), (0, 18), "axes fraction", textcoords="offset points", fontweight="bold")
    for place, name, color in ((1.0, "inhibitory", INHIBITORY), (0.74, "excitatory", EXCITATORY)):
        panels[0][0].annotate(
            name, (place, 1), (0, 18), "axes fraction", textcoords="offset points", color=color, ha="right"
        )
    figure.subplots_adjust(left=0.02, right=0.99, hspace=0.8, wspace=0.12)
    return figure


def balance_counts(layer: Record) -> np.ndarray:
    """How many units have their balance (E - I) / (E + I) in each bin of `BALANCE_EDGES`, whatever their total."""
    counts = np.zeros(len(BALANCE_EDGES) - 1)
    for _, balance, units in layer["balance"]:
        counts[balance] += units
    return counts


def _recorded(group: Group) -> list[Run]:
    return [run for run in group.finished if run.internals is not None and run.internals["layers"]]


def _portrait(group: Group, run: Run) -> Portrait:
    internals = run.internals or {}
    columns = [
        Column(title, _stack(internals["layers"], title, label, draw, group)) for title, label, draw in QUANTITIES
    ]
    return Portrait(group, run.seed, internals["images"], columns, _maps(internals["layers"], group))


def _maps(layers: Sequence[Record], group: Group) -> list[Column]:
    """Excitation against inhibition, and receptive fields where they were recorded."""
    drawn = (("Excitation and inhibition", balance_maps(layers)), ("Receptive fields", field_maps(layers)))
    return [
        Column(title, to_svg(figure, f"{title} by layer, {group.name}"))
        for title, figure in drawn
        if figure is not None
    ]


def _stack(layers: Sequence[Record], title: str, label: str, draw: Draw, group: Group) -> str:
    """The layers below each other, the one nearest the input first."""
    height = HEAD + ROW * (len(layers) - 1) + PLOT + FOOT
    figure = Figure(figsize=(WIDTH, height))
    for index, layer in enumerate(layers):
        top = height - HEAD - ROW * index
        box = (LEFT / WIDTH, (top - PLOT) / height, (WIDTH - LEFT - RIGHT) / WIDTH, PLOT / height)
        axes = figure.add_axes(box)
        draw(axes, layer)
        _dress(axes, layer["name"])
    axes.set_xlabel(label)
    return to_svg(figure, f"{title} by layer, {group.name}")


def _dress(axes: Axes, title: str) -> None:
    axes.set_title(title, loc="left", pad=3, parse_math=False)
    axes.spines["left"].set_visible(False)
    axes.yaxis.set_visible(False)
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.set_ylim(bottom=0)


def _draw_conductances(axes: Axes, layer: Record) -> None:
    """On a logarithmic axis. The first bar holds all smaller values, closed synapses too, and may be cut off."""
    tallest = 0.0
    for height, name, color in (
        (0.95, "excitatory_conductance", EXCITATORY),
        (0.68, "inhibitory_conductance", INHIBITORY),
    ):
        counts = np.asarray(layer[name], float)
        share = counts / max(1.0, counts.sum())
        axes.stairs(share, CONDUCTANCE_EDGES, fill=True, color=color, alpha=0.25, linewidth=0)
        axes.stairs(share, CONDUCTANCE_EDGES, color=color, linewidth=1.1)
        axes.text(0.05, height, f"{share[0]:.0%} closed", transform=axes.transAxes, va="top", fontsize=7.5, color=color)
        tallest = max(tallest, share[1:].max(initial=0.0))
    axes.set_xscale("log")
    axes.set_xlim(CONDUCTANCE_EDGES[0], CONDUCTANCE_EDGES[-1])
    axes.xaxis.set_minor_locator(NullLocator())
    if tallest > 0:
        axes.set_ylim(top=1.1 * tallest)


def _draw_z(axes: Axes, layer: Record) -> None:
    """Units without input all rest at one value; its bar may be cut off."""
    density = _density(layer["z"], Z_EDGES)
    _draw_by_sign(axes, Z_EDGES, density)
    _cut_off(axes, density)


def _draw_balance(axes: Axes, layer: Record) -> None:
    _draw_by_sign(axes, BALANCE_EDGES, balance_counts(layer))


def _draw_by_sign(axes: Axes, edges: Sequence[float], heights: np.ndarray) -> None:
    middles = (np.asarray(edges[:-1]) + np.asarray(edges[1:])) / 2
    for color, chosen in ((INHIBITORY, middles < 0), (EXCITATORY, middles >= 0)):
        axes.stairs(np.where(chosen, heights, 0), edges, fill=True, color=color, alpha=0.75, linewidth=0)
    axes.axvline(0, color=INK, linewidth=0.6, alpha=0.5)
    axes.set_xlim(-1, 1)
    axes.set_xticks([-1, -0.5, 0, 0.5, 1])


def _draw_p(axes: Axes, layer: Record) -> None:
    """All values of 0 are in the first bar; it is cut off so that the others can be seen."""
    density = _density(layer["p"], P_EDGES)
    axes.stairs(density, P_EDGES, fill=True, color=INK, alpha=0.45, linewidth=0)
    axes.text(
        0.98,
        0.95,
        f"{layer['active_fraction']:.0%} active",
        transform=axes.transAxes,
        ha="right",
        va="top",
        fontsize=7.5,
    )
    axes.set_xlim(0, 1)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1])
    _cut_off(axes, density)


def _cut_off(axes: Axes, heights: np.ndarray) -> None:
    """End the axis below the top of a bar that is far higher than all others."""
    tallest, next_tallest = np.sort(heights)[[-1, -2]]
    if next_tallest > 0:
        axes.set_ylim(top=min(1.05 * tallest, 1.6 * next_tallest))


def _density(counts: Sequence[int], edges: Sequence[float]) -> np.ndarray:
    """Heights that enclose an area of 1: bins of different widths compare fairly."""
    heights = np.asarray(counts, float)
    mass = heights.sum() * np.diff(edges)
    return np.divide(heights, mass, out=np.zeros_like(heights), where=mass > 0)


QUANTITIES: tuple[tuple[str, str, Draw], ...] = (
    ("Conductances G", "conductance of a synapse", _draw_conductances),
    ("Membrane potential z", "z: inhibition \N{MINUS SIGN}1, excitation +1", _draw_z),
    ("Output p", "p: share of open channels", _draw_p),
    ("Balance of each unit", "(E \N{MINUS SIGN} I) / (E + I)", _draw_balance),
)
"""What is drawn of each layer: title, label of the axis, and how."""
