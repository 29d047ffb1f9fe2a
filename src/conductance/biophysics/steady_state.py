"""The steady state of a Hodgkin-Huxley membrane: a conductance-weighted average of potentials (eq. 1)."""

import torch.nn.functional as F
from torch import Tensor

from conductance.biophysics._checks import (
    PerUnit,
    refuse_bad_conductance,
    refuse_bad_probability,
    refuse_volts,
    refuse_where,
)
from conductance.biophysics._tensors import in_one_dtype
from conductance.checked import checked
from conductance.errors import InputError


@checked
def steady_state(
    open_probability: Tensor,
    conductance: Tensor,
    reversal_potential: PerUnit,
    *,
    resting_conductance: PerUnit,
    resting_potential: PerUnit,
) -> Tensor:
    """Membrane potential at which the net ionic current of each postsynaptic neuron is zero (paper eq. 1).

        V_i = (G_r E_r + sum_j G_ij p_j E_j) / (G_r + sum_j G_ij p_j)

    Each presynaptic neuron j has its own reversal potential, so there may be any number of synapse classes.

    Args:
        open_probability: p, shape (..., fan_in), each in [0, 1].
        conductance: G, maximal conductance in nS, shape (out, fan_in), finite and >= 0.
        reversal_potential: E, in mV, shape (fan_in,).
        resting_conductance: G_r, in nS, a number or shape (out,), finite and >= 0.
        resting_potential: E_r, in mV, a number or shape (out,).

    Returns:
        V in mV, shape (..., out), between the least and the greatest of E and E_r. It has the wider of the
        dtypes of p and G, and is differentiable in every argument.

    Raises:
        InputError: a shape does not fit; a conductance is negative, infinite or NaN; p lies outside [0, 1];
            a potential is not finite or looks like volts (all below 1 in size and not all 0); or a unit has
            no conductance at all (G_r = 0 and no open synapse), so that its potential is undefined.

    >>> p = torch.tensor([0.5, 1.0])
    >>> G = torch.tensor([[4.0, 1.0]])
    >>> steady_state(p, G, [0.0, -70.0], resting_conductance=1.0, resting_potential=-65.0)
    tensor([-33.7500])
    """
    refuse_volts(reversal_potential, "reversal_potential")
    refuse_volts(resting_potential, "resting_potential")
    return conductance_weighted_average(
        open_probability, conductance, reversal_potential, resting_conductance, resting_potential
    )


def conductance_weighted_average(
    open_probability: Tensor,
    conductance: Tensor,
    reversal_potential: PerUnit,
    resting_conductance: PerUnit,
    resting_potential: PerUnit,
) -> Tensor:
    """Evaluate eq. 1 as `steady_state` does, without checking that potentials are in mV.

    Small potentials may be right where the program converted them: a valence of 0.99 is -0.35 mV.
    """
    p, G, E, G_r, E_r = in_one_dtype(
        open_probability, conductance, reversal_potential, resting_conductance, resting_potential
    )
    _check_shapes(p, G, E, G_r, E_r)
    _check_ranges(p, G, E, G_r, E_r)
    total = G_r + F.linear(p, G)
    _check_some_conductance(total)
    return (G_r * E_r + F.linear(p, G * E)) / total


def _check_shapes(p: Tensor, G: Tensor, E: Tensor, G_r: Tensor, E_r: Tensor) -> None:
    if G.ndim != 2:
        raise InputError(f"conductance has shape {tuple(G.shape)}; give (out, fan_in)")
    out, fan_in = G.shape
    if p.ndim == 0 or p.shape[-1] != fan_in:
        raise InputError(
            f"open_probability has shape {tuple(p.shape)}; conductance {tuple(G.shape)} needs (..., {fan_in})"
        )
    if E.shape != (fan_in,):
        raise InputError(
            f"reversal_potential has shape {tuple(E.shape)}; give one for each presynaptic neuron, shape ({fan_in},)"
        )
    for name, quantity in (("resting_conductance", G_r), ("resting_potential", E_r)):
        if quantity.shape not in {(), (out,)}:
            raise InputError(f"{name} has shape {tuple(quantity.shape)}; give a number or shape ({out},)")


def _check_ranges(p: Tensor, G: Tensor, E: Tensor, G_r: Tensor, E_r: Tensor) -> None:
    refuse_bad_probability(p)
    refuse_bad_conductance(G, "conductance")
    refuse_bad_conductance(G_r, "resting_conductance")
    for name, quantity in (("reversal_potential", E), ("resting_potential", E_r)):
        refuse_where(~quantity.isfinite(), quantity, name, "give a finite potential in mV")


def _check_some_conductance(total: Tensor) -> None:
    none = total == 0
    if none.any():
        *sample, unit = none.nonzero()[0].tolist()
        where = f" for sample {sample}" if sample else ""
        raise InputError(
            f"unit {unit} has no conductance{where}: resting_conductance is 0 and none of its synapses is open, "
            "so its membrane potential is undefined; give it a resting_conductance above 0 nS"
        )
