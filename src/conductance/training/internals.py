"""What only a network of conductances can show, as numbers small enough to keep beside every run."""

from typing import Any

import torch
from torch import Tensor, nn

from conductance.nn import Observation, observe

BINS = 60
LARGEST_QUANTILE = 0.995


def internals(network: nn.Module, batch: Tensor) -> dict[str, Any]:
    """Distributions of G, z and p, and the mean E' and I' of every unit, for each conductance layer.

    Args:
        network: a trained network.
        batch: open probabilities as the network takes them.

    Returns:
        Plain values: histograms as ``{"edges": [...], "counts": [...]}``. The few conductances beyond the 99.5 %
        quantile are counted in the last bin.
    """
    return {"images": len(batch), "layers": [_layer(seen) for seen in observe(network, batch)]}


def _layer(seen: Observation) -> dict[str, Any]:
    layer, G = seen.layer, seen.layer.conductance.detach()
    excitatory = (layer.presynaptic.per_synapse(G) > 0).expand_as(G)
    return {
        "name": seen.name,
        "kind": type(layer).__name__,
        "units": layer.out_channels,
        "fan_in": layer.fan_in,
        "excitatory_conductance": _conductances(G[excitatory]),
        "inhibitory_conductance": _conductances(G[~excitatory]),
        "z": _histogram(seen.z, -1.0, 1.0),
        "p": _histogram(seen.p, 0.0, 1.0),
        "excitation": _per_unit(seen.excitation),
        "inhibition": _per_unit(seen.inhibition),
        "active_fraction": float((seen.z > 0).float().mean()),
    }


def _conductances(G: Tensor) -> dict[str, list[float]]:
    if not len(G):
        return {"edges": [0.0, 1.0], "counts": [0]}
    largest = float(G.float().cpu().sort().values[int(LARGEST_QUANTILE * (len(G) - 1))])
    largest = largest or 1.0
    return _histogram(G.clamp(max=largest), 0.0, largest)


def _histogram(values: Tensor, low: float, high: float) -> dict[str, list[float]]:
    counts, edges = torch.histogram(values.float().cpu().flatten(), BINS, range=(low, high))
    return {"edges": [round(edge, 6) for edge in edges.tolist()], "counts": counts.int().tolist()}


def _per_unit(values: Tensor) -> list[float]:
    return [round(value, 6) for value in values.float().transpose(0, 1).flatten(1).mean(1).tolist()]
