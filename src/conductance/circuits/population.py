"""A population as it runs: its synapses, its membranes in time, its gate, and how its own synapses open and close."""

import math

import torch
from torch import Tensor, nn

from conductance import functional, kernels
from conductance.circuits.places import Places
from conductance.circuits.synapses import PopulationSynapses


class Population(nn.Module):
    r"""Neurons of one kind, whose projections all join one average.

    .. math::
        V &\leftarrow z + (V - z)\, e^{-D\, \Delta t / C}, \qquad z = (E' - I')/D, \quad D = E' + I', \\
        s &\leftarrow p + (s - p)\, e^{-\Delta t / \tau_s}, \qquad p = \mathrm{gate}(V).

    Without a membrane time constant V = z at once, and without one of synapses s = p. A pooled interneuron sits at the
    mean of V and adds to E' and I' what `functional.pooled_conductances` says: of the V of the slice before where
    membranes take time, else at once.

    Attributes:
        synapses: the layer whose presynaptic channels are those of all sources, one after the other.
        places: the population's grid.
        source_grid: of the sources' points, where the same kernel stands at all of them.
        leaky: whether V takes time.
        tau_synapse: of the synapses onto others, in ms; None where they take no time.
        pooled_interneuron: whether one neuron more sits at the mean potential and acts back on all.
    """

    capacitance: Tensor
    synapse_memory: float

    def __init__(
        self,
        synapses: PopulationSynapses,
        places: Places,
        source_grid: tuple[int, ...] | None,
        *,
        tau_membrane: float | None,
        tau_synapse: float | None,
        duration: float,
        pooled_interneuron: bool = False,
    ) -> None:
        super().__init__()
        self.synapses, self.places = synapses, places
        self.source_grid, self.tau_synapse = source_grid, tau_synapse
        self.leaky = tau_membrane is not None
        self.pooled_interneuron = pooled_interneuron
        synapses.pools_later = pooled_interneuron and self.leaky
        if tau_membrane is not None:  # C = tau G_r; in units in which a slice lasts 1
            capacitance = tau_membrane / duration * synapses.resting_conductance.detach()
            self.register_buffer("capacitance", capacitance.view(-1, *(1,) * (-1 - synapses.channel_axis)).clone())
        self.synapse_memory = 0.0 if tau_synapse is None else math.exp(-duration / tau_synapse)

    def forward(self, p: Tensor, sent_before: Tensor | None, potential: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """One time slice.

        Args:
            p: what all sources send, (N, channels), one source after the other.
            sent_before: s of the slice before, (N, units); None where synapses take no time.
            potential: V of the slice before, (N, units); None where V takes no time.

        Returns:
            s, and V where it takes time.
        """
        if self.source_grid is not None:
            p = p.unflatten(1, (-1, *self.source_grid))
        if potential is None:
            sent = self.synapses(p)
        else:
            V = potential.view(-1, *self.shape)
            both = kernels.dense(self.synapses(p), self.synapses.channel_axis)
            if self.pooled_interneuron:
                mean = V.mean(self.synapses.channel_axis, keepdim=True)
                both = both + functional.pooled_conductances(both, self.synapses.channel_axis, mean)
            V = functional.membrane_step(both, V, self.synapses.channel_axis, self.capacitance)
            sent, potential = self.opened(V), V.flatten(1)
        sent = sent.flatten(1)
        if sent_before is not None and self.synapse_memory:
            sent = torch.lerp(sent, sent_before.to(sent.dtype), self.synapse_memory)
        return sent, potential

    def opened(self, potential: Tensor) -> Tensor:
        """p of the gate at V."""
        gate = self.synapses.gate
        return potential.clamp(min=0) if gate is None else gate(potential)

    def at_rest(self, samples: int, like: Tensor) -> Tensor:
        """V of all units where no synapse is open, (N, units)."""
        rest = self.synapses.resting_potential.to(like).view(-1, 1)
        return rest.expand(-1, self.places.units // len(rest)).reshape(1, -1).expand(samples, -1)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one sample as the layer gives it."""
        convolutional = self.source_grid is not None
        return (self.places.channels, *self.places.grid) if convolutional else (self.places.units,)
