"""What only a network of conductances can show, as numbers small enough to keep beside every run."""

from math import log10
from typing import Any

import torch
from torch import Tensor, nn

from conductance.analysis.observe import Observation, observe

BINS = 60
# Conductances are counted by their logarithm, ten bins to a decade: they spread over many, as cortical synapses do.
SMALLEST, LARGEST, CONDUCTANCE_BINS = 1e-3, 1e2, 50


def internals(network: nn.Module, batch: Tensor) -> dict[str, Any]:
    """Distributions of G, z and p, and the mean E' and I' of every unit, for each conductance layer.

    Args:
        network: a trained network.
        batch: open probabilities as the network takes them.

    Returns:
        Plain values: histograms as ``{"edges": [...], "counts": [...]}``. A conductance below 0.001, silent synapses
        among them, is counted in the first bin, one above 100 in the last.
    """
    last = {seen.name: seen for seen in observe(network, batch)}  # interneurons run once in each time slice
    return {"images": len(batch), "layers": [_layer(seen) for seen in last.values()]}


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
        "active_fraction": float((seen.p > 0).float().mean()),
    }


def _conductances(G: Tensor) -> dict[str, list[float]]:
    exponents = _histogram(G.clamp(min=SMALLEST).log10(), log10(SMALLEST), log10(LARGEST), CONDUCTANCE_BINS)
    return {"edges": [float(f"{10**edge:.6g}") for edge in exponents["edges"]], "counts": exponents["counts"]}


def _histogram(values: Tensor, low: float, high: float, bins: int = BINS) -> dict[str, list[float]]:
    inside = values.float().cpu().flatten().clamp(low, high)
    counts, edges = torch.histogram(inside, bins, range=(low, high))
    return {"edges": [round(edge, 6) for edge in edges.tolist()], "counts": counts.int().tolist()}


def _per_unit(values: Tensor) -> list[float]:
    return [round(value, 6) for value in values.float().transpose(0, 1).flatten(1).mean(1).tolist()]
