"""The difference between the mean membrane potential under spike trains and eq. 1, which has mean conductances only."""

import torch
import torch.nn.functional as F
from torch import Tensor

from conductance.biophysics._checks import PerUnit, refuse_unless_positive, refuse_unless_together
from conductance.biophysics._tensors import in_one_dtype
from conductance.biophysics.membrane import time_constant as membrane_time_constant
from conductance.biophysics.spikes import MS_PER_SECOND
from conductance.biophysics.steady_state import steady_state
from conductance.checked import checked


@checked
def fluctuation_shift(
    open_probability: Tensor,
    conductance: Tensor,
    reversal_potential: PerUnit,
    *,
    resting_conductance: PerUnit,
    resting_potential: PerUnit,
    capacitance: PerUnit,
    rate_max: float,
    time_constant: PerUnit,
) -> Tensor:
    """Mean potential under Poisson spike trains minus that of eq. 1, to second order in the conductances' fluctuations.

        dV_i = - sum_j G_ij^2 p_j (E_j - V_i) / (2 R (tau_j + tau_i) G_i^2)

    with V_i of eq. 1, the total conductance G_i = G_r + sum_j G_ij p_j, and tau_i = C / G_i. While a
    conductance is above its mean, the potential is nearer to its reversal potential, so that its driving force is
    smaller when it is larger. By Campbell's theorem an exponential synapse of quantum
    q = G / (R tau) has the variance G p q / 2 and a correlation that decays with tau; the mean of C dV/dt = I - G V
    is then 0 for the dV above. The terms left out are smaller by a factor of about q / G_i.

    K equal synapses of one class together shift the potential by (their share of G_i)^2 of its distance from their
    reversal potential, divided by twice the number of spikes that they receive in tau_j + tau_i. So the shift is
    proportional to 1 / (K R).

    Args:
        open_probability: p, shape (..., fan_in), each in [0, 1].
        conductance: G in nS, shape (out, fan_in), finite and >= 0.
        reversal_potential: E in mV, shape (fan_in,).
        resting_conductance: G_r in nS, a number or shape (out,), finite and >= 0.
        resting_potential: E_r in mV, a number or shape (out,).
        capacitance: C in pF, a number or shape (out,), > 0.
        rate_max: R, spikes per second of a neuron with p = 1, > 0.
        time_constant: tau of the synapses in ms, shape (fan_in,), > 0.

    Returns:
        dV in mV, shape (..., out).

    Raises:
        InputError: as `steady_state` raises; a capacitance, rate or time constant is not above 0.
    """
    V = steady_state(
        open_probability,
        conductance,
        reversal_potential,
        resting_conductance=resting_conductance,
        resting_potential=resting_potential,
    )
    p, G, E, G_r, C, tau, R = in_one_dtype(
        open_probability, conductance, reversal_potential, resting_conductance, capacitance, time_constant, rate_max
    )
    refuse_unless_together(conductance=G, time_constant=tau)
    refuse_unless_together(conductance=G[:, 0], capacitance=C)
    refuse_unless_positive(tau, "time_constant", "give the synapses' decay in ms, above 0")
    refuse_unless_positive(R, "rate_max", "give spikes per second, above 0")
    total = G_r + F.linear(p, G)
    membrane = membrane_time_constant(total, C)
    shift = torch.zeros_like(V)
    for each in tau.unique():
        squares = G.square() * (tau == each)
        shift = shift - (F.linear(p, squares * E) - V * F.linear(p, squares)) / (each + membrane)
    return shift * MS_PER_SECOND / (2 * R * total.square())
