"""The squid giant axon of Hodgkin & Huxley (1952), J. Physiol. 117:500: action potentials from three gates."""

from dataclasses import dataclass

import torch
from torch import Tensor

from conductance.biophysics._checks import refuse_volts, refuse_where
from conductance.biophysics.membrane import exponential_step
from conductance.checked import checked
from conductance.errors import InputError

NS_PER_UM2 = 10.0  # 1 S/cm2
PF_PER_UM2 = 0.01  # 1 uF/cm2
MEASURED_AT = 6.3  # degrees Celsius
LARGEST_STEP = 0.05  # ms at that temperature


@checked
@dataclass(frozen=True)
class SquidAxon:
    """A patch of the squid giant axon's membrane, all at one potential (a space clamp).

        C dV/dt = G_Na m^3 h (E_Na - V) + G_K n^4 (E_K - V) + G_l (E_l - V) + I
        dx/dt = alpha_x(V) (1 - x) - beta_x(V) x   for the gates x = m, h, n

    Rates are those of 1952, with V counted as today (rest near -65 mV), and triple with every 10 degrees.
    The defaults are those of NEURON's mechanism `hh`. Only the ratios of current, conductance and capacitance count,
    so the area only sets their scale: 10 pA into 1000 um2 are 1 uA/cm2.

    Args:
        area: in um2, > 0.
        celsius: temperature in degrees.
        capacitance: in uF/cm2, > 0.
        sodium_conductance: all open, in S/cm2, >= 0.
        potassium_conductance: all open, in S/cm2, >= 0.
        leak_conductance: in S/cm2, > 0.
        sodium_potential: reversal potential in mV.
        potassium_potential: reversal potential in mV.
        leak_potential: reversal potential in mV.

    Raises:
        InputError: a quantity is outside its range, or the potentials look like volts.
    """

    area: float = 1000.0
    celsius: float = MEASURED_AT
    capacitance: float = 1.0
    sodium_conductance: float = 0.12
    potassium_conductance: float = 0.036
    leak_conductance: float = 0.0003
    sodium_potential: float = 50.0
    potassium_potential: float = -77.0
    leak_potential: float = -54.3

    def __post_init__(self) -> None:
        for name, unit in (("area", "um2"), ("capacitance", "uF/cm2"), ("leak_conductance", "S/cm2")):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} is {getattr(self, name):g} {unit}; it lies above 0")
        for name in ("sodium_conductance", "potassium_conductance"):
            if not getattr(self, name) >= 0:
                raise InputError(f"{name} is {getattr(self, name):g} S/cm2; a conductance is at least 0")
        potentials = (self.sodium_potential, self.potassium_potential, self.leak_potential)
        refuse_volts(potentials, "every reversal potential")

    def respond(self, current: Tensor, time_step: float, *, potential: float = -65.0) -> Tensor:
        """Membrane potential while a current is injected, from gates at their steady state.

        Potential and gates step in turn, half a step apart. Each step is the exact solution of a linear equation with
        the others held constant; the method is of second order in the time step.

        Args:
            current: in pA during each step, > 0 to depolarize, shape (time, ...).
            time_step: in ms, > 0 and at most 0.05 at 6.3 degrees, proportionally less where it is warmer.
            potential: V at the start in mV.

        Returns:
            V in mV at the end of each step, shape (time, ...), differentiable in the current.

        Raises:
            InputError: the current has no step or is not finite, the potential looks like volts, or the time step
                is not above 0 or too large for the gates.
        """
        speed = 3 ** ((self.celsius - MEASURED_AT) / 10)
        _check(current, time_step, LARGEST_STEP / speed)
        refuse_volts(potential, "potential")
        V = torch.full_like(current[0], potential)
        gates = [alpha / (alpha + beta) for alpha, beta in gate_rates(V)]
        C = self.area * PF_PER_UM2 * self.capacitance
        potentials = []
        for k, I in enumerate(current):
            gates = _move_gates(gates, V, speed * time_step * (1 if k else 0.5))
            G, driving = self._open_channels(*gates)
            V = exponential_step(V, G, driving + I, C, time_step)
            potentials.append(V)
        return torch.stack(potentials)

    def _open_channels(self, m: Tensor, h: Tensor, n: Tensor) -> tuple[Tensor, Tensor]:
        """Total conductance in nS and driving current in pA."""
        scale = self.area * NS_PER_UM2
        sodium = scale * self.sodium_conductance * m**3 * h
        potassium = scale * self.potassium_conductance * n**4
        leak = scale * self.leak_conductance
        driving = sodium * self.sodium_potential + potassium * self.potassium_potential + leak * self.leak_potential
        return sodium + potassium + leak, driving


def gate_rates(V: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Opening and closing rates, alpha and beta, of the gates m, h and n in 1/ms at 6.3 degrees, at V in mV."""
    return [
        (_linoid((V + 40) / 10), 4 * torch.exp(-(V + 65) / 18)),
        (0.07 * torch.exp(-(V + 65) / 20), torch.sigmoid((V + 35) / 10)),
        (0.1 * _linoid((V + 55) / 10), 0.125 * torch.exp(-(V + 65) / 80)),
    ]


@checked
def firing_rate(potential: Tensor, time_step: float, *, threshold: float = 0.0) -> Tensor:
    """Spikes per second from the first spike to the last, that is, one over the mean interval; 0 without an interval.

    A spike is where V rises through the threshold; its time is interpolated between the steps.

    Args:
        potential: V in mV, shape (time, ...).
        time_step: in ms, > 0.
        threshold: in mV.

    Returns:
        Rates, shape (...).
    """
    before, after = potential[:-1], potential[1:]
    rises = (before < threshold) & (after >= threshold)
    steps = torch.arange(len(rises), dtype=potential.dtype, device=potential.device)
    time = steps.view(-1, *(1,) * (potential.ndim - 1)) + (threshold - before) / (after - before)
    first = time.where(rises, torch.inf).amin(0)
    last = time.where(rises, -torch.inf).amax(0)
    intervals = rises.sum(0) - 1
    return torch.where(intervals > 0, 1000 * intervals / ((last - first) * time_step), 0.0)


def _move_gates(gates: list[Tensor], V: Tensor, duration: float) -> list[Tensor]:
    """A gate relaxes as a membrane of capacitance 1 does: alpha drives it, alpha + beta pulls it back."""
    rates = gate_rates(V)
    return [
        exponential_step(x, alpha + beta, alpha, 1.0, duration) for x, (alpha, beta) in zip(gates, rates, strict=True)
    ]


def _linoid(x: Tensor) -> Tensor:
    """Evaluate x / (1 - exp(-x)), which is 1 at x = 0."""
    near = x.abs() < 1e-4
    return torch.where(near, 1 + x / 2, x / -torch.expm1(-torch.where(near, 1.0, x)))


def _check(current: Tensor, time_step: float, largest_step: float) -> None:
    if current.ndim == 0 or not len(current):
        raise InputError(f"current has shape {tuple(current.shape)}; give (time, ...) with at least one step")
    refuse_where(~current.isfinite(), current, "current", "give a finite current in pA")
    if not 0 < time_step <= largest_step:
        raise InputError(
            f"time_step is {time_step:g} ms; the gates need one above 0 and at most {largest_step:.2g} ms at this "
            "temperature"
        )
