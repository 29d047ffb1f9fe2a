"""From open probabilities of presynaptic neurons to what their synapses open within a step."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from conductance.biophysics.spikes import MS_PER_SECOND, decay_over_step

# What synapses open in the mean over a step, given p at its start.
Opening = Callable[[Tensor], Tensor]


def as_open(p: Tensor) -> Tensor:
    """Without spikes and time constants synapses are as open as p says."""
    return p


class Relaxing:
    """Synapses without spikes that take time: ds/dt = (p - s)/tau, closed at the start.

    Args:
        tau: in ms.
        step: in ms.
    """

    def __init__(self, tau: float, step: float) -> None:
        self.decay, self.mean_of_step = decay_over_step(torch.tensor(tau, dtype=torch.float64), step)
        self.opened: Tensor | None = None

    def __call__(self, p: Tensor) -> Tensor:
        """The mean of s over a step in which p does not change."""
        before = torch.zeros_like(p) if self.opened is None else self.opened
        self.opened = torch.lerp(p, before, self.decay.item())
        return torch.lerp(p, before, self.mean_of_step.item())


@dataclass(frozen=True)
class Spikes:
    """How spikes are drawn, and how what they open decays.

    Attributes:
        step: in ms.
        rate_max: spikes per second of a neuron with p = 1.
        taus: in ms, of neurons of valence above 0, and of the others.
        generator: random generator.
        counted: whether trains keep count of what they fire.
    """

    step: float
    rate_max: float
    taus: tuple[float, float]
    generator: torch.Generator | None
    counted: bool

    def quantum(self, tau: Tensor) -> Tensor:
        """What a spike opens, as a share of a synapse's conductance."""
        return MS_PER_SECOND / (self.rate_max * tau)


class Traces:
    """Synapses that their presynaptic neurons' spikes open: one trace s for each neuron, not for each synapse.

    Args:
        valence: of each neuron, in a shape that broadcasts with p.
        spikes: how they are drawn.
        tau: of all these synapses, in ms; None for `Spikes.taus`.
    """

    def __init__(self, valence: Tensor, spikes: Spikes, tau: float | None = None) -> None:
        excites, others = spikes.taus if tau is None else (tau, tau)
        self.tau = torch.where(valence > 0, excites, others).to(valence)
        self.spikes = spikes
        self.spikes_per_step = spikes.rate_max * spikes.step / MS_PER_SECOND
        self.quantum = spikes.quantum(self.tau)
        self.decay, self.mean_of_step = decay_over_step(self.tau, spikes.step)
        self.trace = torch.zeros_like(self.tau)
        self.fired: Tensor | None = None

    def __call__(self, p: Tensor) -> Tensor:
        """What the synapses open in the mean over a step in which their presynaptic neurons fire."""
        spikes = torch.poisson(p * self.spikes_per_step, self.spikes.generator)
        if self.spikes.counted:
            self.fired = spikes if self.fired is None else self.fired + spikes
        risen = torch.addcmul(self.trace, self.quantum, spikes)
        self.trace = risen * self.decay
        return risen * self.mean_of_step

    def take_fired(self) -> Tensor:
        """How often each neuron has fired since this was asked last."""
        assert self.fired is not None
        fired, self.fired = self.fired, None
        return fired
