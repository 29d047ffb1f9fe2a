"""Spike trains and the conductances they open: synapses whose conductance is G p in the mean over time.

A presynaptic neuron with open probability p fires at the rate p R, where R is its maximal rate. Each of its spikes
raises the conductance by a quantum q, which then decays with the synapse's time constant tau; the mean is p R q tau,
and so G p for q = G / (R tau).
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from conductance.biophysics._checks import (
    PerUnit,
    refuse_bad_conductance,
    refuse_bad_probability,
    refuse_unless_positive,
    refuse_unless_together,
    refuse_volts,
    refuse_where,
)
from conductance.biophysics._tensors import in_one_dtype
from conductance.checked import checked
from conductance.errors import InputError

MS_PER_SECOND = 1000.0

# Decay of AMPA and of GABA-A conductances in the networks of Vogels & Abbott (2005), J. Neurosci. 25:10786.
TAU_E = 5.0
TAU_I = 10.0


# Of one neuron in one step: above it, counts are no longer exact in floating point.
MOST_SPIKES = 1e15


@checked
def poisson_spikes(
    open_probability: Tensor, rate_max: PerUnit, steps: int, time_step: float, *, generator: torch.Generator
) -> Tensor:
    """Spikes of presynaptic neurons in each step: independent Poisson counts of mean p R dt.

    Args:
        open_probability: p, any shape, each in [0, 1].
        rate_max: R in spikes per second at p = 1, > 0, a number or a shape that broadcasts with p.
        steps: number of steps, at least 1.
        time_step: dt in ms, > 0.
        generator: random generator on p's device. A further call with the same one continues the train.

    Returns:
        Counts, shape ``(steps, *p.shape)``, in p's dtype.

    Raises:
        InputError: p lies outside [0, 1]; a rate, the number of steps or the time step is not above 0; more than
            `MOST_SPIKES` are expected in a step.
    """
    p, rate = in_one_dtype(open_probability, rate_max)
    refuse_bad_probability(p)
    refuse_unless_together(open_probability=p, rate_max=rate)
    if not rate.numel():
        raise InputError("rate_max is empty; give spikes per second, above 0")
    _refuse_bad_rate(rate)
    _refuse_bad_steps(steps, time_step)
    refuse_uncountable_spikes(float(rate.max()), time_step)
    mean = p * rate * (time_step / MS_PER_SECOND)
    return torch.poisson(mean.expand(steps, *mean.shape), generator=generator)


def refuse_uncountable_spikes(rate_max: float, time_step: float) -> None:
    """Raise `InputError` where a neuron would fire more than `MOST_SPIKES` in a step."""
    if rate_max * time_step > MOST_SPIKES * MS_PER_SECOND:
        raise InputError(
            f"rate_max={rate_max:g} spikes/s with steps of {time_step:g} ms: more than {MOST_SPIKES:g} spikes a step "
            "cannot be counted; give a lower rate"
        )


@checked
def conductance_quantum(conductance: PerUnit, rate_max: PerUnit, time_constant: PerUnit) -> Tensor:
    """What one spike opens (nS), so that a neuron firing at p R opens G p in the mean: q = G / (R tau).

    Args:
        conductance: G in nS, any shape, finite and >= 0.
        rate_max: R in spikes per second, > 0.
        time_constant: tau of the synapse's decay in ms, > 0.

    All broadcast with one another.

    Raises:
        InputError: a conductance is negative, infinite or NaN; a rate or time constant is not above 0.

    >>> conductance_quantum(3.0, rate_max=100.0, time_constant=5.0)
    tensor(6.)
    """
    G, rate, tau = in_one_dtype(conductance, rate_max, time_constant)
    refuse_unless_together(conductance=G, rate_max=rate, time_constant=tau)
    refuse_bad_conductance(G, "conductance")
    _refuse_bad_rate(rate)
    _refuse_bad_time_constant(tau)
    return G * MS_PER_SECOND / (rate * tau)


@checked
def exponential_synapse(
    jump: Tensor, time_constant: PerUnit, time_step: float, *, start: PerUnit = 0.0
) -> tuple[Tensor, Tensor]:
    """Conductance of exponential synapses, dg/dt = -g / tau, that spikes raise by `jump` at the start of each step.

    It returns means over the steps, as `integrate` reads them. They make the mean over time exact: a spike of quantum
    q has the area q tau at any time step.

    Args:
        jump: in nS, shape (time, ...), finite and >= 0: quantum times spikes, summed over synapses that share tau.
        time_constant: tau in ms, > 0, a number or a shape that broadcasts with (...).
        time_step: dt in ms, > 0.
        start: the conductance in nS before the first step, a number or a shape that broadcasts with (...).

    Returns:
        The mean conductance over each step, shape (time, ...), and the conductance at the end, shape (...), from
        which a next call starts. The filter is linear in `jump` and `start`.

    Raises:
        InputError: a conductance is negative or not finite; a time constant or the time step is not above 0.

    >>> exponential_synapse(torch.tensor([6.0, 0.0]), time_constant=5.0, time_step=1.0)
    (tensor([5.4381, 4.4523]), tensor(4.0219))
    """
    g, jump, tau = in_one_dtype(start, jump, time_constant)
    if not jump.ndim:
        raise InputError("jump is a single number; give (time, ...)")
    refuse_unless_together(jump=jump[:1], time_constant=tau, start=g)
    refuse_bad_conductance(jump, "jump")
    refuse_bad_conductance(g, "start")
    _refuse_bad_time_constant(tau)
    _refuse_bad_steps(len(jump), time_step)
    return _decay(jump, tau, time_step, g)


@checked
def synaptic_input(
    spikes: Tensor,
    quantum: Tensor,
    reversal_potential: PerUnit,
    time_constant: PerUnit,
    time_step: float,
    *,
    start: Tensor | float = 0.0,
) -> tuple[Tensor, Tensor, Tensor]:
    """Total conductance and driving current of a layer's synapses during each step, for `integrate`.

    Synapses of one unit that share a time constant share one filter, so there are two products for each time
    constant and no time course for each synapse.

    Args:
        spikes: counts in each step, shape (time, ..., fan_in), as `poisson_spikes` gives.
        quantum: q in nS, shape (out, fan_in), as `conductance_quantum` gives.
        reversal_potential: E in mV, shape (fan_in,).
        time_constant: tau in ms, shape (fan_in,), > 0.
        time_step: dt in ms, > 0.
        start: the third result of the previous call; 0 if every synapse was closed.

    Returns:
        G in nS and I = sum G E in pA, each of shape (time, ..., out), and the start of a next call. The caller adds
        the leak: G_r and G_r E_r.

    Raises:
        InputError: a shape does not fit; a count or quantum is negative or not finite; a time constant or the time
            step is not above 0; a potential is not finite or looks like volts.
    """
    refuse_volts(reversal_potential, "reversal_potential")
    spikes, q, E, tau, g = in_one_dtype(spikes, quantum, reversal_potential, time_constant, start)
    _check_synapses(spikes, q, E, tau)
    _refuse_bad_steps(len(spikes), time_step)
    distinct = tau.unique()
    jumps = []
    for members in (tau == each for each in distinct):
        counts, opened = spikes[..., members], q[:, members]
        jumps.append(torch.stack((F.linear(counts, opened), F.linear(counts, opened * E[members]))))
    jump = torch.stack(jumps).movedim(2, 0)  # (time, time constants, G or I, ..., out)
    refuse_unless_together(spikes=jump[0], start=g)
    pooled, end = _decay(jump, distinct.view(-1, *(1,) * (jump.ndim - 2)), time_step, g)
    total, driving = pooled.sum(1).unbind(1)
    return total, driving, end


def decay_over_step(tau: Tensor, time_step: float) -> tuple[Tensor, Tensor]:
    """The value of an exponential of time constant tau after a step, and its mean over the step; it starts at 1."""
    return torch.exp(-time_step / tau), -torch.expm1(-time_step / tau) * tau / time_step


def _decay(jump: Tensor, tau: Tensor, time_step: float, g: Tensor) -> tuple[Tensor, Tensor]:
    decay, mean_of_step = decay_over_step(tau, time_step)
    conductances = []
    for rise in jump:
        g = g + rise
        conductances.append(g * mean_of_step)
        g = g * decay
    return torch.stack(conductances), g


def _check_synapses(spikes: Tensor, q: Tensor, E: Tensor, tau: Tensor) -> None:
    if q.ndim != 2 or spikes.ndim < 2 or not spikes.shape[-1:] == q.shape[1:] == E.shape == tau.shape:
        raise InputError(
            f"quantum has shape {tuple(q.shape)}, spikes {tuple(spikes.shape)}, reversal_potential {tuple(E.shape)} "
            f"and time_constant {tuple(tau.shape)}; give (out, fan_in), (time, ..., fan_in), (fan_in,) and (fan_in,)"
        )
    refuse_where(~((spikes >= 0) & spikes.isfinite()), spikes, "spikes", "give counts of spikes, at least 0")
    refuse_bad_conductance(q, "quantum")
    refuse_where(~E.isfinite(), E, "reversal_potential", "give a finite potential in mV")
    _refuse_bad_time_constant(tau)


def _refuse_bad_rate(rate: Tensor) -> None:
    refuse_unless_positive(rate, "rate_max", "give spikes per second, above 0")


def _refuse_bad_time_constant(tau: Tensor) -> None:
    refuse_unless_positive(tau, "time_constant", "give the synapse's decay in ms, above 0")


def _refuse_bad_steps(steps: int, time_step: float) -> None:
    if not (steps >= 1 and time_step > 0):
        raise InputError(f"{steps} steps of {time_step:g} ms; give at least one step, longer than 0 ms")
