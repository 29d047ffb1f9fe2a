"""Pictures of a circuit: its diagram, its connectivity, and what its neurons do. Each returns matplotlib's axes."""

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from conductance.analysis.plots import draw_fields
from conductance.biophysics import PotentialRange
from conductance.checked import checked, shown
from conductance.circuits.network import Block, CircuitNetwork
from conductance.circuits.places import Places
from conductance.circuits.state import Activity
from conductance.colors import EXCITATORY, INHIBITORY
from conductance.errors import InputError, UnknownNameError
from conductance.extras import import_extra

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LINES = "-", "--", ":", "-."
SHOWN_IN_FULL = 0.99  # the share of synapses whose conductance a color tells
AS_MATRIX: dict[str, Any] = {"aspect": "auto", "interpolation": "nearest"}


@checked
def circuit(net: CircuitNetwork, ax: "Axes | None" = None) -> "Axes":
    """Populations as nodes, projections as arrows as thick as their mean conductance onto a neuron.

    Red excites and blue inhibits; a dashed arrow has a delay. What acts first stands on the left.
    """
    ax = _axes(ax)
    columns = _columns(net)
    places = {
        name: (column, (len(names) - 1) / 2 - row)
        for column, names in enumerate(columns)
        for row, name in enumerate(names)
    }
    totals = {
        (source, target, delay): net.conductance(source, target, delay).detach().flatten(1).sum(1).mean().item()
        for source, target, delay in net.projections
    }
    largest = max(totals.values()) or 1.0
    for (source, target, delay), total in totals.items():
        color = EXCITATORY if net.valence(source).mean() > 0 else INHIBITORY
        _arrow(ax, places[source], places[target], color, 0.5 + 3 * total / largest, delay)
    for name, place in places.items():
        units = net.valence(name).numel()
        ax.text(*place, f"{name}\n{units}", ha="center", va="center", zorder=3, bbox=_box(net, name))
    ax.set_xlim(-0.6, len(columns) - 0.4)
    tallest = max(map(len, columns))
    ax.set_ylim(-tallest / 2 - 0.4, tallest / 2 + 0.4)
    ax.set_axis_off()
    return ax


@checked
def connectivity(net: CircuitNetwork, target: str, ax: "Axes | None" = None) -> "Axes":
    """The conductances of all synapses onto a population, source by source: signed by what they do.

    The strongest hundredth has the color at the end of the scale.

    Raises:
        UnknownNameError: there is no such population.
        InputError: the population is convolutional.
    """
    if target not in net.blocks:
        raise UnknownNameError("population", target, net.blocks)
    ax = _axes(ax)
    blocks = net.blocks[target]
    parts = [net.conductance(block.source, target, block.delay).detach() for block in blocks]
    if parts[0].ndim > 2:
        raise InputError(f"{target} is convolutional: its kernels are no matrix of neurons; see net.conductance(...)")
    signed = torch.cat(
        [part * net.valence(block.source).to(part) for part, block in zip(parts, blocks, strict=True)], 1
    )
    found = signed[signed != 0].abs()
    bound = found.quantile(SHOWN_IN_FULL).item() if len(found) else 1.0
    image = ax.imshow(signed.cpu().numpy(), cmap="RdBu_r", vmin=-bound, vmax=bound, **AS_MATRIX)
    ax.figure.colorbar(image, ax=ax, label="conductance times valence", extend="both")
    for block in blocks[1:]:
        ax.axvline(block.start - 0.5, color="0.3", linewidth=0.8)
    ax.set_xticks([(block.start + block.stop - 1) / 2 for block in blocks])
    ax.set_xticklabels([_label(block) for block in blocks], rotation=45, ha="right", rotation_mode="anchor")
    ax.set_xlabel("from neurons of")
    ax.set_ylabel(f"neurons of {target}")
    return ax


@checked
def raster(activity: Activity, sample: int = 0, ax: "Axes | None" = None) -> "Axes":
    """Open probability of every neuron in each slice, population by population, the first at the top.

    Raises:
        InputError: there is no such sample.
    """
    ax = _axes(ax)
    rows = [_sample(sent, sample) for sent in activity.sent.values()]
    image = ax.imshow(torch.cat(rows, 1).T.cpu().numpy(), cmap="Greys", vmin=0, vmax=1, **AS_MATRIX)
    ax.figure.colorbar(image, ax=ax, label="open probability")
    _name_rows(ax, [row.shape[1] for row in rows], list(activity.sent))
    _name_time(ax)
    return ax


@checked
def potentials(
    activity: Activity,
    population: str,
    sample: int = 0,
    ax: "Axes | None" = None,
    *,
    potentials: PotentialRange | None = None,
    neurons: int = 10,
) -> "Axes":
    """Membrane potentials of a population's first neurons over time, rescaled, or in mV on a range of potentials.

    Raises:
        UnknownNameError: there is no such population among those whose membranes take time.
        InputError: there is no such sample.
    """
    if population not in activity.potential:
        raise UnknownNameError("population with tau_membrane", population, activity.potential)
    ax = _axes(ax)
    V = _sample(activity.potential[population], sample)[:, :neurons]
    ax.plot((V if potentials is None else potentials.to_millivolts(V)).cpu().numpy(), linewidth=1)
    _name_time(ax)
    ax.set_ylabel(f"V of {population}" + ("" if potentials is None else " (mV)"))
    return ax


@checked
@torch.no_grad()
def currents(
    net: CircuitNetwork, activity: Activity, target: str, neuron: int = 0, sample: int = 0, ax: "Axes | None" = None
) -> "Axes":
    """The current through each projection onto one neuron, and through its leak: G p (e - V), rescaled.

    Positive currents depolarize. Where the membrane takes no time, they sum to 0.

    Raises:
        UnknownNameError: there is no such population.
        InputError: the population is convolutional, or there is no such sample.
    """
    if target not in net.blocks:
        raise UnknownNameError("population", target, net.blocks)
    opened, driven = _opened(net, activity, target, neuron, sample)
    layer = net.populations[target].synapses
    G_r, e_r = layer.resting_conductance[neuron], layer.resting_potential[neuron]  # type: ignore[union-attr, index]
    total = sum(opened.values(), start=G_r)
    V = sum(driven.values(), start=G_r * e_r) / total
    if target in activity.potential:
        V = _sample(activity.potential[target], sample)[:, neuron]
    ax = _axes(ax)
    drawn = {EXCITATORY: 0, INHIBITORY: 0}
    for block in net.blocks[target]:
        label = _label(block)
        color = EXCITATORY if net.valence(block.source).mean() > 0 else INHIBITORY
        style = LINES[drawn[color] % len(LINES)]
        drawn[color] += 1
        current = (driven[label] - opened[label] * V).cpu().numpy()
        ax.plot(current, style, color=color, label=label, linewidth=1.2)
    ax.plot((G_r * (e_r - V)).cpu().numpy(), color="0.5", label="leak", linewidth=1)
    ax.axhline(0, color="0.8", linewidth=0.6)
    _name_time(ax)
    ax.set_ylabel(f"current onto {target} {neuron}")
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    return ax


def _opened(
    net: CircuitNetwork, activity: Activity, target: str, neuron: int, sample: int
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """What each projection opens at a neuron in each slice, and the same times valence, (slices,)."""
    opened, driven = {}, {}
    for block in net.blocks[target]:
        G = net.conductance(block.source, target, block.delay)
        if G.ndim > 2:
            raise InputError(f"{target} is convolutional; currents are drawn of neurons with synapses of their own")
        sent = _sample({**activity.shown, **activity.sent}[block.source], sample)
        late = torch.cat([torch.zeros_like(sent[: block.delay]), sent[: len(sent) - block.delay]])
        label = _label(block)
        opened[label] = late @ G[neuron]
        driven[label] = late @ (G[neuron] * net.valence(block.source).to(G))
    return opened, driven


@checked
def receptive_fields(
    net: CircuitNetwork,
    target: str,
    source: str,
    units: int = 8,
    *,
    delay: int | None = None,
    shape: tuple[int, int] | None = None,
    axes: Any = None,
) -> Any:
    """What a projection's synapses onto the first neurons of a population read, place by place.

    A row of pictures for what excites and one for what inhibits, as far as there are such synapses, summed over
    channels; of an input with on- and off-neurons a row for each of these. Of a convolutional population the kernels.

    Args:
        net: the circuit.
        target: the population.
        source: an input or population on a plane.
        units: how many neurons, or channels of a convolutional population.
        delay: of the projection, where there are several.
        shape: height and width of a source that stands in a row.
        axes: an array of matplotlib axes, (rows, units); new ones by default.

    Returns:
        The axes, an array.

    Raises:
        UnknownNameError: there is no such projection.
        InputError: the source's neurons do not stand on a plane.
    """
    G = net.conductance(source, target, delay).detach()
    coded, places = net.inputs.get(source), net.places(source)
    if shape is not None and len(places.grid) == 1 and math.prod(shape) == places.points:
        places = Places(shape, places.channels)
    if len(places.grid) != 2:
        raise InputError(
            f"{source} has the grid {places}; receptive fields are drawn of a plane: give it a grid (height, width), "
            "or shape=(height, width) here"
        )
    e = net.valence(source).to(G).view(places.channels, *places.grid)
    effect = G * e[:, :1, :1] if G.ndim == 4 else G.unflatten(1, e.shape) * e
    if coded is not None and coded.coding == "on_off":
        on, off = effect.chunk(2, 1)
        return draw_fields({"on": on.sum(1), "off": off.sum(1)}, units, axes)
    parts = {"excitatory": effect.clamp(min=0).sum(1), "inhibitory": effect.clamp(max=0).sum(1)}
    return draw_fields({name: part for name, part in parts.items() if part.any()} or parts, units, axes)


# Parts of pictures ----------------------------------------------------------------------------------------------------


def _axes(ax: "Axes | None") -> "Axes":
    if ax is not None:
        if not hasattr(ax, "imshow"):
            raise InputError(f"ax={shown(ax)}; give axes of matplotlib, or leave it out")
        return ax
    pyplot: Any = import_extra("matplotlib.pyplot", "to draw a circuit", "report")
    return pyplot.subplots(layout="constrained")[1]


def _columns(net: CircuitNetwork) -> list[list[str]]:
    """Who stands in each column: the inputs, then populations by how many projections without delay lead to them."""
    column = dict.fromkeys(net.inputs, 0)
    for name in net.populations:
        before = [column[block.source] for block in net.blocks[name] if block.delay == 0]
        column[name] = 1 + max(before, default=0)
    return [[name for name in column if column[name] == each] for each in range(max(column.values()) + 1)]


def _arrow(
    ax: "Axes", start: tuple[float, float], end: tuple[float, float], color: str, width: float, delay: int
) -> None:
    style: dict[str, Any] = {
        "arrowstyle": "-|>",
        "color": color,
        "linewidth": width,
        "linestyle": "--" if delay else "-",
        "shrinkA": 22,
        "shrinkB": 24,
    }
    if start == end:
        style |= {"shrinkA": 0, "shrinkB": 0, "connectionstyle": "arc3,rad=-1.6"}
        left, right = (_beside(ax, x) for x in (-9, 9))
        ax.annotate("", end, start, xycoords=right, textcoords=left, arrowprops=style, zorder=2)
    else:
        style["connectionstyle"] = "arc3,rad=0.15"
        ax.annotate("", end, start, arrowprops=style, zorder=2)


def _beside(ax: "Axes", x: float) -> Any:
    """Places of the picture, moved by points: to the top of a box, so far beside its middle."""
    transforms: Any = import_extra("matplotlib.transforms", "to draw a circuit", "report")
    return transforms.offset_copy(ax.transData, fig=ax.figure, x=x, y=21, units="points")


def _box(net: CircuitNetwork, name: str) -> dict[str, Any]:
    color = "0.4" if name in net.inputs else EXCITATORY if net.valence(name).mean() > 0 else INHIBITORY
    return {"boxstyle": "round,pad=0.5", "facecolor": "white", "edgecolor": color, "linewidth": 1.5}


def _label(block: Block) -> str:
    """A projection by its source, and how many slices ago it sent."""
    return block.source + (f" (-{block.delay})" if block.delay else "")


def _name_time(ax: "Axes") -> None:
    ticker: Any = import_extra("matplotlib.ticker", "to draw a circuit", "report")
    ax.xaxis.set_major_locator(ticker.MaxNLocator(integer=True))
    ax.set_xlabel("time slice")


def _sample(values: Tensor, sample: int) -> Tensor:
    """(slices, units) of one sample."""
    if not -len(values) <= sample < len(values):
        raise InputError(f"sample={sample}: the activity holds {len(values)} samples")
    return values[sample].detach()


def _name_rows(ax: "Axes", sizes: list[int], names: list[str]) -> None:
    edges = torch.tensor([0, *sizes]).cumsum(0)
    for edge in edges[1:-1].tolist():
        ax.axhline(edge - 0.5, color=EXCITATORY, linewidth=0.8)
    ax.set_yticks(((edges[1:] + edges[:-1] - 1) / 2).tolist())
    ax.set_yticklabels(names)
