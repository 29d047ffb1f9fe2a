"""One layer of a network in mV, nS and pF: its synapses, and its units as membranes."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from conductance import kernels
from conductance.biophysics.gate import rectified_gate
from conductance.biophysics.rescaling import PotentialRange
from conductance.nn import ConductanceLayer, Gate
from conductance.valence import Valence


@dataclass(frozen=True)
class SynapseLayer:
    """A layer's synapses, without the units that they end on.

    A layer with ``average=False`` is no more than that: its conductances join the average of another layer's units, as
    those of an interneuron population do.

    Attributes:
        name: the layer's name in the network.
        layer: the layer itself, which knows how its synapses are laid out (convolution or all to all).
        potentials: the mV that valences -1 and +1 stand for.
    """

    name: str
    layer: ConductanceLayer
    potentials: PotentialRange

    @property
    def reversal_potential(self) -> Tensor:
        """E_j in mV of each presynaptic channel, (in,), or (2 in,) for a doubled input."""
        return self.potentials.to_millivolts(self.layer.valence)

    @cached_property
    def presynaptic(self) -> Valence:
        """The valence of each presynaptic neuron's channel; the copies of a doubled input are neurons of their own."""
        layer = self.layer
        if not layer.doubled_input:
            return layer.presynaptic
        e = self._side_by_side(layer.valence.view(2, -1), 0)
        return Valence(e, len(e), groups=layer.groups, may_be_one_sided=True, device=e.device, dtype=e.dtype)

    def per_presynaptic_neuron(self, p: Tensor) -> Tensor:
        """The layer's input p, ``(N, in, *positions)``, for all neurons of `presynaptic`; doubled if the layer is."""
        if not self.layer.doubled_input:
            return p
        return self._side_by_side(torch.stack((p, p)), p.ndim + self.layer.channel_axis)

    def _side_by_side(self, copies: Tensor, axis: int) -> Tensor:
        """Copies that lie in front as channels of their own, along the axis; each group's excitatory copies first."""
        by_group = copies.unflatten(axis + 1, (self.layer.groups, -1))
        return by_group.movedim(0, axis + 1).flatten(axis, axis + 2)

    def along_channels(self, values: Tensor) -> Tensor:
        """Values of each channel, in a shape that broadcasts with those at all positions."""
        return values.view(-1, *(1,) * (-1 - self.layer.channel_axis))

    def packed(self) -> Tensor:
        """The conductances in the order that the products read, see `kernels.pack`."""
        return kernels.pack(self.layer.conductance, self.presynaptic, self.layer.synaptic_sum)

    def synaptic_conductances(self, p: Tensor, packed: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """E' and I' in the layer's own units, leak included.

        Args:
            p: what each neuron of `presynaptic` opens.
            packed: the conductances, where they were packed before, for many calls.
        """
        layer, packed = self.layer, self.packed() if packed is None else packed
        both = kernels.open_conductances(p, packed, self.presynaptic, layer.leak(), layer.synaptic_sum)
        E, I = kernels.dense(both, layer.channel_axis).chunk(2, layer.channel_axis)
        return E, I


@dataclass(frozen=True)
class MembraneLayer(SynapseLayer):
    """One layer's units as membranes: C dV_i/dt = G_r (E_r - V_i) + sum_j G_ij p_j (E_j - V_i).

    A convolution's units are the same at every position, so there is one of each quantity per channel. Conductances of
    other layers may join the sum; they are given in the units of this layer, and scaled with its own.

    Attributes:
        name, layer, potentials: as for `SynapseLayer`.
        nanosiemens: the nS that a conductance of 1 in the layer stands for. It cancels from z, but not from C / G.
        capacitance: C of each unit in pF, > 0, (out,).
        unrectified: whether its units show z to those that read them, whatever the layer's activation. A pooled
            interneuron reads such units before it acts on them.
    """

    nanosiemens: float
    capacitance: Tensor
    unrectified: bool = False

    @property
    def conductance(self) -> Tensor:
        """G_ij in nS, >= 0, ``(out, fan_in, *kernel)``; the excitatory copies of a doubled input come first."""
        return self.nanosiemens * self.layer.conductance.detach()

    @property
    def resting_conductance(self) -> Tensor:
        """G_r in nS of each unit, (out,)."""
        return self.nanosiemens * self.layer.resting_conductance.detach()

    @property
    def resting_potential(self) -> Tensor:
        """E_r in mV of each unit, (out,)."""
        return self.potentials.to_millivolts(self.layer.resting_potential.detach())

    def open_conductances(
        self, p: Tensor, extra_conductances: Tensor | None = None, packed: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """E' and I' in nS, leak included, given what each neuron of `presynaptic` opens.

        Args:
            p: of each neuron of `presynaptic`.
            extra_conductances: what joins them, in the layer's own units: E' of all units, then I', along the channels.
            packed: see `synaptic_conductances`.
        """
        E, I = self.synaptic_conductances(p, packed)
        if extra_conductances is not None:
            extra_E, extra_I = extra_conductances.chunk(2, self.layer.channel_axis)
            E, I = E + extra_E, I + extra_I
        return self.nanosiemens * E, self.nanosiemens * I

    @property
    def threshold(self) -> Tensor | None:
        """E_th in mV of each unit, (out,): where its gate begins to open, or is half open; None if nothing is cut."""
        gate = self.layer.gate
        if isinstance(gate, Gate):
            return self.potentials.to_millivolts(gate.threshold.detach())
        if gate is not None or self.layer.activation != "relu":
            return None
        return torch.full_like(self.resting_potential, self.potentials.midpoint)

    def open_probability(self, potential: Tensor) -> Tensor:
        """What its units' synapses onto others are open at V (mV).

        By the layer's own gate, or the rectified one, p = max(z, 0) (paper eq. 4).
        """
        if self.layer.gate is not None:
            opened: Tensor = self.layer.gate(self.potentials.to_valence(potential))
            return opened
        return rectified_gate(potential, threshold=self.potentials.midpoint, slope_factor=self.potentials.half_width)

    def response(self, potential: Tensor) -> Tensor:
        """What the layer returns at V (mV): p, or z where it has no activation."""
        if self.unrectified or (self.layer.gate is None and self.layer.activation != "relu"):
            return self.potentials.to_valence(potential)
        return self.open_probability(potential)
