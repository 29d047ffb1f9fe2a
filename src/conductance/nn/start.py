"""Where the conductances of one layer start, without any data (docs/training.md says what each part is worth)."""

import torch
from torch import Tensor

from conductance.valence import Valence

SIGMA = 1.5


def lognormal(like: Tensor, sigma: float = SIGMA, mean: float = 1.0) -> Tensor:
    """Log-normal conductances of the given mean: a few strong synapses for each unit, as in cortex."""
    return mean * torch.exp(sigma * torch.randn_like(like) - sigma**2 / 2)


def with_twins(conductance: Tensor, unit_valence: Tensor) -> Tensor:
    """A copy in which inhibitory units have the synapses of excitatory ones: the first of the first, and so on.

    The next layer so receives the same activity from both kinds, and its E and I start from the same input. Units of
    which there are more than of the other kind keep their own synapses.

    Args:
        conductance: G (units, ...).
        unit_valence: of the units, (units,).
    """
    excitatory, inhibitory = (unit_valence > 0).nonzero().flatten(), (unit_valence < 0).nonzero().flatten()
    pairs = min(len(excitatory), len(inhibitory))
    twins = conductance.clone()
    device = conductance.device
    twins[inhibitory[:pairs].to(device)] = conductance[excitatory[:pairs].to(device)]
    return twins


def with_balanced_sums(conductance: Tensor, valence: Valence) -> Tensor:
    r"""A copy in which each unit's inhibitory conductances are scaled until :math:`\sum_j G_{ij} e_j = 0`.

    A unit without excitation or without inhibition keeps its conductances.
    """
    e = valence.per_synapse(conductance)
    excitation = (conductance * e.clamp(min=0)).flatten(1).sum(1)
    inhibition = (conductance * e.clamp(max=0)).flatten(1).sum(1).neg()
    both = (excitation > 0) & (inhibition > 0)
    factor = torch.where(both, excitation / inhibition, torch.ones_like(excitation))
    return torch.where(e < 0, conductance * factor.view(-1, *(1,) * (conductance.ndim - 1)), conductance)


def default_start(like: Tensor, valence: Valence, unit_valence: Tensor, exists: Tensor | None = None) -> Tensor:
    """Heavy-tailed conductances; inhibitory units as twins of excitatory ones; in each unit as much I as E.

    Args:
        like: what the conductances are to look like.
        valence: of the presynaptic channels.
        unit_valence: of the units, (units,).
        exists: which synapses there are; all by default.
    """
    conductance = with_twins(lognormal(like), unit_valence)
    if exists is not None:
        conductance = torch.where(exists, conductance, 0.0)
    return with_balanced_sums(conductance, valence)
