"""The exact mean membrane potential under shot noise: an expectation over Poisson processes, by quadrature."""

import numpy as np
from scipy.integrate import cumulative_trapezoid, trapezoid
from scipy.special import exp1


def expected_potential(rates, quanta, time_constants, reversal_potentials, G_r, E_r, C):
    """E[V] in mV of exponential synapses (spikes/ms, nS, ms, mV), leak (nS, mV) and capacitance (pF).

    V(t) is the integral over the past u of I(t - u) exp(-(conductance since then) / C) / C, where the conductance
    since then and I are sums over Poisson spikes; so, by Campbell, the expectation of the exponential is the
    exponential of an integral over spike times, and that of g times it has one factor more.
    """
    u = np.linspace(0, 40 * C / G_r, 100_001)
    survival = np.exp(-G_r * u / C)
    drive = np.full_like(u, G_r * E_r)
    for rate, q, tau, E in zip(rates, quanta, time_constants, reversal_potentials, strict=True):
        since = cumulative_trapezoid(np.expm1(-q * tau / C * -np.expm1(-u / tau)), u, initial=0)  # spikes since then
        x = np.maximum(q * tau / C * -np.expm1(-u / tau), 1e-12)  # what one just before then still opens, over C
        before = -tau * (exp1(x) + np.log(x) + np.euler_gamma)
        survival = survival * np.exp(rate * (since + before))
        drive = drive + E * rate * q * tau * -np.expm1(-x) / x
    return trapezoid(drive * survival, u) / C
