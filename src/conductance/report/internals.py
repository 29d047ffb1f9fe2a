"""What only a network of conductances can show: its excitation, its inhibition, and what they settle to."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator, StrMethodFormatter

from conductance.report.colors import EXCITATORY, INHIBITORY, INK
from conductance.report.svg import figure_style, to_svg
from conductance.runs.groups import Group
from conductance.runs.read import Run
from conductance.runs.records import Record

WIDTH, HEAD, ROW, PLOT, FOOT = 2.9, 0.3, 0.92, 0.5, 0.42
LEFT, RIGHT = 0.16, 0.1

Draw = Callable[[Axes, Record], None]


@dataclass(frozen=True)
class Column:
    """One quantity, layer below layer."""

    title: str
    svg: str


@dataclass(frozen=True)
class Portrait:
    """The inside of one trained network."""

    group: Group
    seed: int
    images: int
    columns: list[Column]


def portraits(groups: Iterable[Group]) -> list[Portrait]:
    """One portrait for each configuration that recorded its internals, of its lowest such seed."""
    with figure_style():
        return [_portrait(group, run) for group in groups for run in _recorded(group)[:1]]


def unit_balance(layer: Record) -> np.ndarray:
    """(E - I) / (E + I) of each unit's mean conductances; a unit with neither sits at 0.

    >>> unit_balance({"excitation": [3.0, 1.0, 0.0], "inhibition": [1.0, 1.0, 0.0]}).tolist()
    [0.5, 0.0, 0.0]
    """
    E, I = np.asarray(layer["excitation"], float), np.asarray(layer["inhibition"], float)
    total = E + I
    return np.divide(E - I, total, out=np.zeros_like(total), where=total > 0)


def _recorded(group: Group) -> list[Run]:
    return [run for run in group.finished if run.internals is not None and run.internals["layers"]]


def _portrait(group: Group, run: Run) -> Portrait:
    internals = run.internals or {}
    quantities: list[tuple[str, str, Draw]] = [
        ("Conductances G", "conductance G (dimensionless)", _draw_conductances),
        ("State z", "z (dimensionless)", _draw_z),
        ("Output p", "p (dimensionless)", _draw_p),
        ("Balance of each unit", "(E \N{MINUS SIGN} I) / (E + I)", _draw_balance),
    ]
    columns = [
        Column(title, _stack(internals["layers"], title, label, draw, group)) for title, label, draw in quantities
    ]
    return Portrait(group, run.seed, internals["images"], columns)


def _stack(layers: Sequence[Record], title: str, label: str, draw: Draw, group: Group) -> str:
    """The layers one below the other, the input's first."""
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
    """Over a logarithmic axis; the first bar holds all that is smaller, silent synapses too, and is cut off."""
    tallest = 0.0
    for height, name, color in (
        (0.95, "excitatory_conductance", EXCITATORY),
        (0.68, "inhibitory_conductance", INHIBITORY),
    ):
        edges, counts = np.asarray(layer[name]["edges"], float), np.asarray(layer[name]["counts"], float)
        share = counts / max(1.0, counts.sum())
        axes.stairs(share, edges, fill=True, color=color, alpha=0.25, linewidth=0)
        axes.stairs(share, edges, color=color, linewidth=1.1)
        axes.text(0.05, height, f"{share[0]:.0%} silent", transform=axes.transAxes, va="top", fontsize=7.5, color=color)
        tallest = max(tallest, share[1:].max(initial=0.0))
    axes.set_xscale("log")
    axes.set_xlim(edges[0], edges[-1])
    axes.xaxis.set_minor_locator(NullLocator())
    if tallest > 0:
        axes.set_ylim(top=1.1 * tallest)


def _draw_z(axes: Axes, layer: Record) -> None:
    """Units without input all rest at one value; the bar that holds it is cut off."""
    edges, density = _density(layer["z"])
    _draw_by_sign(axes, edges, density)
    _cut_off(axes, density)


def _draw_balance(axes: Axes, layer: Record) -> None:
    counts, edges = np.histogram(unit_balance(layer), bins=40, range=(-1, 1))
    _draw_by_sign(axes, edges, counts.astype(float))


def _draw_by_sign(axes: Axes, edges: np.ndarray, heights: np.ndarray) -> None:
    middles = (edges[:-1] + edges[1:]) / 2
    for color, chosen in ((INHIBITORY, middles < 0), (EXCITATORY, middles >= 0)):
        axes.stairs(np.where(chosen, heights, 0), edges, fill=True, color=color, alpha=0.75, linewidth=0)
    axes.axvline(0, color=INK, linewidth=0.6, alpha=0.5)
    axes.set_xlim(-1, 1)
    axes.set_xticks([-1, -0.5, 0, 0.5, 1])


def _draw_p(axes: Axes, layer: Record) -> None:
    """The silent values pile up in the first bar; it is cut off so that the rest can be seen."""
    edges, density = _density(layer["p"])
    axes.stairs(density, edges, fill=True, color=INK, alpha=0.45, linewidth=0)
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
    """Let one bar that towers over all others end at the top of the picture."""
    tallest, next_tallest = np.sort(heights)[[-1, -2]]
    if next_tallest > 0:
        axes.set_ylim(top=min(1.05 * tallest, 1.6 * next_tallest))


def _density(histogram: Record) -> tuple[np.ndarray, np.ndarray]:
    """Edges, and heights that enclose an area of 1: bins of different widths compare fairly."""
    edges, counts = np.asarray(histogram["edges"], float), np.asarray(histogram["counts"], float)
    mass = counts.sum() * np.diff(edges)
    return edges, np.divide(counts, mass, out=np.zeros_like(counts), where=mass > 0)
