"""The membrane in time: C dV/dt = sum_k G_k (E_k - V), exactly over a stretch in which no conductance changes.

Units: conductance nS, potential mV, current pA = nS mV, capacitance pF, time ms = pF / nS.
"""

from math import isfinite

import torch
from torch import Tensor

from conductance.biophysics._checks import (
    PerUnit,
    refuse_bad_conductance,
    refuse_unless_positive,
    refuse_unless_together,
    refuse_volts,
    refuse_where,
)
from conductance.biophysics._tensors import in_one_dtype
from conductance.checked import checked
from conductance.errors import InputError

_CAPACITANCE = "a capacitance is finite and above 0 pF (about 1 uF for each square centimetre of membrane)"


@checked
def in_parallel(conductance: Tensor, reversal_potential: PerUnit) -> tuple[Tensor, Tensor]:
    """Several conductances of one membrane as one: what `relax` and `integrate` read.

        G = sum_k G_k,   I = sum_k G_k E_k,   so that   C dV/dt = sum_k G_k (E_k - V) = I - G V

    A current that is injected besides is added to I.

    Args:
        conductance: G_k in nS, shape (..., K), finite and >= 0; what is open, so G_ij p_j for a synapse.
        reversal_potential: E_k in mV, a number or a shape that broadcasts with (..., K).

    Returns:
        Total conductance in nS and driving current in pA, both of shape (...).

    Raises:
        InputError: a conductance is negative, infinite or NaN; a potential is not finite or looks like volts.

    >>> in_parallel(torch.tensor([10.0, 2.0, 4.0]), [-65.0, 0.0, -70.0])
    (tensor(16.), tensor(-930.))
    """
    refuse_volts(reversal_potential, "reversal_potential")
    E, G = in_one_dtype(reversal_potential, conductance)
    refuse_unless_together(conductance=G, reversal_potential=E)
    refuse_bad_conductance(G, "conductance")
    refuse_where(~E.isfinite(), E, "reversal_potential", "give a finite potential in mV")
    return G.sum(-1), (G * E).sum(-1)


@checked
def time_constant(total_conductance: PerUnit, capacitance: PerUnit) -> Tensor:
    """How long (ms) the membrane takes to come nearer to its steady state by a factor e: tau = C / G.

    Args:
        total_conductance: G, all that is open, leak included, in nS, any shape, > 0.
        capacitance: C in pF, > 0, a number or a shape that broadcasts with G.

    Raises:
        InputError: a conductance is negative or not finite, a cell has none, or a capacitance is not above 0.

    >>> time_constant(10.0, 200.0)
    tensor(20.)
    """
    G, C = in_one_dtype(total_conductance, capacitance)
    _check_membrane(G, C)
    return C / G


@checked
def relax(
    potential: PerUnit,
    total_conductance: PerUnit,
    driving_current: PerUnit,
    capacitance: PerUnit,
    duration: PerUnit,
) -> Tensor:
    """Membrane potential after a stretch of constant conductances: the exact solution, however long it is.

        V(t) = V_inf + (V(0) - V_inf) exp(-t / tau),   V_inf = I / G,   tau = C / G

    V_inf is the steady state of paper eq. 1, to which V goes without overshoot.

    Args:
        potential: V(0) in mV.
        total_conductance: G in nS, > 0, leak included (see `in_parallel`).
        driving_current: I = sum_k G_k E_k (+ injected current) in pA.
        capacitance: C in pF, > 0.
        duration: t in ms, >= 0.

    All broadcast with one another; the result has the wider of the dtypes of V(0) and G and is differentiable in
    every argument.

    Raises:
        InputError: a conductance is negative or not finite; a cell has none, so that it has no steady state; a
            capacitance is not above 0, a duration below; a potential or current is not finite, or V(0) looks like
            volts.

    >>> relax(-65.0, 16.0, -930.0, capacitance=200.0, duration=12.5)
    tensor(-60.6542)
    """
    refuse_volts(potential, "potential")
    V, G, I, C, t = in_one_dtype(potential, total_conductance, driving_current, capacitance, duration)
    _check_state(V, I)
    _check_membrane(G, C)
    refuse_where(~(t >= 0), t, "duration", "give at least 0 ms")
    _check_broadcast(potential=V, total_conductance=G, driving_current=I, capacitance=C, duration=t)
    return exponential_step(V, G, I, C, t)


def exponential_step(V: Tensor, G: Tensor, I: Tensor, C: Tensor | float, t: Tensor | float) -> Tensor:
    """`relax` without its checks, for a loop over steps that were checked before it began."""
    return torch.lerp(V, I / G, -torch.expm1(-G * (t / C)))


@checked
def integrate(
    potential: PerUnit,
    total_conductance: Tensor,
    driving_current: Tensor,
    capacitance: PerUnit,
    time_step: float,
    *,
    accuracy: float = 0.1,
) -> Tensor:
    """Membrane potential over changing conductances, by the exponential Euler method.

    Over each step the conductances are taken as constant, and `relax` gives the potential at its end. So the only error
    is the conductances' change within a step, and V stays between the reversal potentials at any step size. The error
    is estimated by solving again with every second value, each held for two steps (if their number is odd, the last
    two steps separately too); where that moves V by more than `accuracy`, the step is refused. (The error is of first
    order, so the difference between the two solutions is about the error of the finer one.)

    Args:
        potential: V at the start in mV, a number or a shape that broadcasts with (...).
        total_conductance: G in nS, shape (time, ...), > 0, leak included: during each step.
        driving_current: I = sum_k G_k E_k (+ injected current) in pA, shape (time, ...).
        capacitance: C in pF, > 0, a number or a shape that broadcasts with (...).
        time_step: in ms, > 0.
        accuracy: the largest error in mV to accept, > 0; infinity for no check.

    Returns:
        V in mV at the end of each step, shape (time, ...), differentiable in every tensor. It has the wider of the
        dtypes of the potential and G.

    Raises:
        InputError: as `relax` raises; a shape does not fit; or the time step is too large for the accuracy.

    >>> G, I = in_parallel(torch.tensor([[10.0, 0.0], [10.0, 6.0]]), [-65.0, 0.0])
    >>> integrate(-65.0, G, I, capacitance=200.0, time_step=0.1, accuracy=1.0)
    tensor([-65.0000, -64.8058])
    """
    refuse_volts(potential, "potential")
    V, G, I, C = in_one_dtype(potential, total_conductance, driving_current, capacitance)
    _check_state(V, I)
    _check_membrane(G, C)
    for name, value in (("time_step", time_step), ("accuracy", accuracy)):
        if not value > 0:
            raise InputError(f"{name} is {value:g}; give a number above 0")
    if G.ndim == 0 or G.shape != I.shape or not len(G):
        raise InputError(
            f"total_conductance has shape {tuple(G.shape)} and driving_current {tuple(I.shape)}; "
            "give both as (time, ...) with at least one step"
        )
    _check_broadcast(potential=V, total_conductance=G[0], capacitance=C)
    potentials = _exponential_euler(V, G, I, C, time_step)
    if isfinite(accuracy):
        with torch.no_grad():
            fine, coarse = potentials.detach(), _exponential_euler(V, G[:-1:2], I[:-1:2], C, 2 * time_step)
            exact = fine[1::2]
            if len(G) > 2 and len(G) % 2:
                last = exponential_step(fine[-3], G[-2], I[-2], C, 2 * time_step)
                exact, coarse = torch.cat([exact, fine[-1:]]), torch.cat([coarse, last[None]])
        _refuse_large_step(exact, coarse, time_step, accuracy)
    return potentials


def _exponential_euler(V: Tensor, G: Tensor, I: Tensor, C: Tensor, time_step: float) -> Tensor:
    potentials = []
    for G_now, I_now in zip(G, I, strict=True):
        V = exponential_step(V, G_now, I_now, C, time_step)
        potentials.append(V)
    return torch.stack(potentials) if potentials else G


def _refuse_large_step(fine: Tensor, coarse: Tensor, time_step: float, accuracy: float) -> None:
    if not len(coarse):
        return
    difference = (fine - coarse).abs()
    worst = difference.max().item()
    if worst > accuracy:
        step, *cell = (difference == worst).nonzero()[0].tolist()
        where = f" of cell {cell}" if cell else ""
        raise InputError(
            f"time_step {time_step:g} ms is too large: the conductances{where} change so much near "
            f"{(2 * step + 2) * time_step:g} ms that its potential is uncertain by {worst:.2g} mV, and accuracy asks "
            f"for {accuracy:g} mV; sample them every {time_step * accuracy / worst:.1g} ms, or ask for less"
        )


def _check_state(V: Tensor, I: Tensor) -> None:
    refuse_where(~V.isfinite(), V, "potential", "give a finite potential in mV")
    refuse_where(~I.isfinite(), I, "driving_current", "give a finite current in pA")


def _check_membrane(G: Tensor, C: Tensor) -> None:
    refuse_bad_conductance(G, "total_conductance")
    refuse_where(
        G == 0,
        G,
        "total_conductance",
        "a membrane with no conductance has no steady state: give it a resting_conductance above 0 nS",
    )
    refuse_unless_positive(C, "capacitance", _CAPACITANCE)


def _check_broadcast(**quantities: Tensor) -> None:
    try:
        torch.broadcast_shapes(*(quantity.shape for quantity in quantities.values()))
    except RuntimeError:
        shapes = ", ".join(f"{name} {tuple(quantity.shape)}" for name, quantity in quantities.items())
        raise InputError(f"the shapes do not broadcast with one another: {shapes}") from None
