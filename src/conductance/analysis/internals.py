"""What happens inside a network of conductances, as counts small enough to keep beside every run."""

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from conductance.analysis.fields import packed_fields
from conductance.analysis.observe import Observation, observe
from conductance.checked import checked
from conductance.nested import tensors_of
from conductance.nn.modes import as_tensors


def _logarithmic(low: float, high: float, bins: int) -> tuple[float, ...]:
    exponents = torch.linspace(low, high, bins + 1).tolist()
    return tuple(float(f"{10 ** round(exponent, 6):.6g}") for exponent in exponents)


def _uniform(low: float, high: float, bins: int) -> tuple[float, ...]:
    return tuple(round(edge, 6) for edge in np.linspace(low, high, bins + 1).tolist())


CONDUCTANCE_EDGES = _logarithmic(-3, 2, 50)
"""Conductances are counted on a logarithmic scale, ten bins to a decade: they spread over many, as in cortex."""
Z_EDGES = _uniform(-1, 1, 60)
P_EDGES = _uniform(0, 1, 60)
EDGES = {
    "excitatory_conductance": CONDUCTANCE_EDGES,
    "inhibitory_conductance": CONDUCTANCE_EDGES,
    "z": Z_EDGES,
    "p": P_EDGES,
}
"""Between which edges the values of each quantity are counted. A value beyond the outermost edges counts in the
outermost bin."""

TOTAL_EDGES = _logarithmic(-2, 6, 40)
BALANCE_EDGES = tuple(np.linspace(-1, 1, 41).tolist())
"""Units are counted by their mean total conductance E' + I', and by their balance (E' - I')/(E' + I')."""


@checked
def internals(network: nn.Module, batch: Any) -> dict[str, Any]:
    """Distributions of G, z and p over each conductance layer, and of E' and I' over its units.

    Args:
        network: a trained network.
        batch: open probabilities as the network takes them, in any form that `observe` takes.

    Returns:
        Plain values: ``images`` and ``layers``, each layer with its ``name``, ``kind``, ``units``, ``fan_in`` and
        ``active_fraction`` (the share of p > 0), a list of counts for each quantity in `EDGES`, and ``balance``: a
        triple ``[i, j, n]`` for every n units that have their total in bin i of `TOTAL_EDGES` and their balance in
        bin j of `BALANCE_EDGES`. Layers that see images have the ``fields`` of their first units (`packed_fields`).
    """
    last = {seen.name: seen for seen in observe(network, batch)}  # interneurons run once in each time slice
    images = next(tensors_of(as_tensors(network, batch)))
    layers = [_layer(seen, tuple(images.shape[1:])) for seen in last.values()]
    return {"images": len(images), "layers": layers}


def count_balance(excitation: ArrayLike, inhibition: ArrayLike) -> list[list[int]]:
    """Count units by their total conductance and their balance; a unit without conductance has balance 0.

    >>> count_balance([3.0, 1.0, 1.0, 0.0], [1.0, 1.0, 1.0, 0.0])
    [[0, 20, 1], [11, 20, 2], [13, 30, 1]]

    Raises:
        ValueError: lists of different lengths.
    """
    E, I = np.asarray(excitation, float), np.asarray(inhibition, float)
    total = E + I
    balance = np.divide(E - I, total, out=np.zeros_like(total), where=total > 0)
    counts, _, _ = np.histogram2d(total.clip(TOTAL_EDGES[0], TOTAL_EDGES[-1]), balance, (TOTAL_EDGES, BALANCE_EDGES))
    return [[int(i), int(j), int(counts[i, j])] for i, j in np.argwhere(counts)]


def _layer(seen: Observation, image: tuple[int, ...]) -> dict[str, Any]:
    fields = packed_fields(seen.layer, image)
    layer, G = seen.layer, seen.layer.conductance.detach()
    excitatory = (layer.presynaptic.per_synapse(G) > 0).expand_as(G)
    return {
        "name": seen.name,
        "kind": type(layer).__name__,
        "units": layer.out_channels,
        "fan_in": layer.fan_in,
        "active_fraction": float((seen.p > 0).float().mean()),
        "excitatory_conductance": counts(G[excitatory], CONDUCTANCE_EDGES),
        "inhibitory_conductance": counts(G[~excitatory], CONDUCTANCE_EDGES),
        "z": counts(seen.z, Z_EDGES),
        "p": counts(seen.p, P_EDGES),
        "balance": count_balance(_unit_means(seen.excitation), _unit_means(seen.inhibition)),
        **({} if fields is None else {"fields": fields}),
    }


def counts(values: Tensor, edges: tuple[float, ...]) -> list[int]:
    """How many values lie between each two edges; those beyond count in the outermost bins."""
    inside = values.double().cpu().flatten().clamp(edges[0], edges[-1])
    counted, _ = torch.histogram(inside, torch.tensor(edges, dtype=torch.float64))
    return counted.int().tolist()


def _unit_means(values: Tensor) -> np.ndarray:
    return values.double().transpose(0, 1).flatten(1).mean(1).cpu().numpy()
