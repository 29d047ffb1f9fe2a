"""Figures of what `check` measured, and of receptive fields, by matplotlib; each returns its axes."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from conductance.analysis.check import CheckReport
from conductance.analysis.fields import receptive_fields
from conductance.analysis.internals import CONDUCTANCE_EDGES
from conductance.colors import EXCITATORY, INHIBITORY
from conductance.errors import InputError
from conductance.extras import import_extra
from conductance.nn.conductance import ConductanceLayer

COLUMNS = 5
"""So many layers are drawn side by side."""


def plot_conductances(report: CheckReport, axes: Any = None) -> Any:
    """Histograms of the conductances of all layers, excitatory and inhibitory, on a logarithmic scale.

    Args:
        report: of `check`.
        axes: an array of matplotlib axes, one for each layer; new ones by default.

    Returns:
        The axes, an array.
    """
    _require_report(report)
    axes = _axes_of_layers(len(report.layers), axes)
    for ax, layer in zip(axes, report.layers, strict=True):
        for kind, color in (("excitatory", EXCITATORY), ("inhibitory", INHIBITORY)):
            ax.stairs(layer.histograms[kind], CONDUCTANCE_EDGES, color=color, label=kind)
        ax.set(xscale="log", xlabel="conductance G", ylabel="synapses", title=layer.name)
    axes[0].legend()
    return axes


def plot_balance(report: CheckReport, ax: Any = None) -> Any:
    """Mean E' / mean I' of all units, layer by layer; 1 is balance.

    Args:
        report: of `check` with a batch.
        ax: matplotlib's axes; new ones by default.

    Returns:
        The axes.
    """
    _require_batch(report)
    ax = _one_axes(ax)
    for place, layer in enumerate(report.layers):
        spread = np.linspace(-0.3, 0.3, layer.units) if layer.units > 1 else np.zeros(1)
        ax.plot(place + spread, layer.balance, ".", markersize=3, color="#444444")
    ax.axhline(1.0, color="#888888", linewidth=0.8)
    ax.set(yscale="log", ylabel="E' / I' of each unit", xticks=range(len(report.layers)))
    ax.set_xticklabels([layer.name for layer in report.layers], rotation=45, ha="right")
    return ax


def plot_singular_values(report: CheckReport, ax: Any = None) -> Any:
    """Singular values of each layer's potentials, as shares of the largest: how many directions are in use.

    Args:
        report: of `check` with a batch.
        ax: matplotlib's axes; new ones by default.

    Returns:
        The axes.
    """
    _require_batch(report)
    ax = _one_axes(ax)
    for depth, layer in enumerate(report.layers):
        values = np.asarray(layer.singular_values)
        ax.plot(
            np.arange(1, len(values) + 1),
            values / max(values[0], 1e-300),
            color=_shade(depth, report),
            label=layer.name,
        )
    ax.set(yscale="log", xlabel="rank", ylabel="singular value of z, largest = 1", ylim=(1e-4, 1.5))
    ax.legend(fontsize="x-small", loc="upper left", bbox_to_anchor=(1.01, 1.0))
    return ax


def plot_receptive_fields(
    layer: ConductanceLayer, units: int = 8, *, shape: tuple[int, int] | None = None, axes: Any = None
) -> Any:
    """What excites and what inhibits the first units: a row of pictures for each part, summed over channels.

    Args:
        layer: a convolution over images; or a linear layer whose input is a flattened image.
        units: how many.
        shape: height and width of that image; needed for a linear layer.
        axes: an array of matplotlib axes, (2, units); new ones by default.

    Returns:
        The axes, an array: the excitatory parts above, the inhibitory ones below.

    Raises:
        InputError: the layer's receptive fields are no images.
    """
    if not isinstance(layer, ConductanceLayer):
        raise InputError(f"the layer is a {type(layer).__name__}; give one of conductances, such as model[0]")
    excitatory, inhibitory = receptive_fields(layer, shape)
    return draw_fields({"excitatory": excitatory, "inhibitory": -inhibitory}, units, axes)


def draw_fields(parts: Mapping[str, Tensor], units: int, axes: Any = None) -> Any:
    """A row of pictures for each part of receptive fields: what excites in red, what inhibits in blue.

    Args:
        parts: by name, conductances of each unit to each place, (units, height, width); negative where they inhibit.
        units: how many to draw, at most.
        axes: an array of matplotlib axes, (parts, units); new ones by default.

    Returns:
        The axes, an array.
    """
    units = min(units, *map(len, parts.values()))
    if axes is None:
        pyplot = import_extra("matplotlib.pyplot", "to draw receptive fields", "report")
        size = 1.2 * units, 0.4 + 1.1 * len(parts)
        _, axes = pyplot.subplots(len(parts), units, squeeze=False, figsize=size, layout="constrained")
    largest = torch.stack(list(parts.values())).abs().amax((0, 2, 3))
    for row, (name, part) in zip(axes, parts.items(), strict=True):
        colors = "Blues" if part.sum() < 0 else "Reds"
        for unit, ax in enumerate(row[:units]):
            ax.imshow(part[unit].abs().cpu().numpy(), cmap=colors, vmin=0, vmax=largest[unit].item() or 1.0)
            ax.set(xticks=[], yticks=[])
        row[0].set_ylabel(name)
    for unit, ax in enumerate(axes[0][:units]):
        ax.set_title(f"{unit}", fontsize="small")
    return axes


def _require_report(report: Any) -> None:
    if not isinstance(report, CheckReport):
        raise InputError(f"this is a {type(report).__name__} and no report; give conductance.check(model, batch)")


def _require_batch(report: CheckReport) -> None:
    _require_report(report)
    if any(layer.balance is None for layer in report.layers):
        raise InputError("this report was made without a batch; call check(model, batch)")


def _one_axes(ax: Any) -> Any:
    if ax is not None:
        return ax
    return import_extra("matplotlib.pyplot", "to draw", "report").subplots(layout="constrained")[1]


def _shade(depth: int, report: CheckReport) -> Any:
    """A color for each layer, dark at the input, however many there are."""
    colors = import_extra("matplotlib", "to draw", "report").colormaps["viridis"]
    return colors(0.9 * depth / max(len(report.layers) - 1, 1))


def _axes_of_layers(number: int, axes: Any) -> Any:
    """Axes for so many layers, in as many rows as a page needs."""
    if axes is not None:
        return np.atleast_1d(axes)
    pyplot = import_extra("matplotlib.pyplot", "to draw", "report")
    columns = min(number, COLUMNS)
    rows = math.ceil(number / columns)
    size = 2.6 * columns, 2.4 * rows
    grid = pyplot.subplots(rows, columns, squeeze=False, figsize=size, layout="constrained")[1].ravel()
    for spare in grid[number:]:
        spare.remove()
    return grid[:number]
