"""All synapses of a population: one layer, in which some synapses do not exist and others do not learn."""

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from conductance.nn import CWAConv1d, CWAConv2d, CWAConv3d, CWALinear, start
from conductance.nn.held import HeldLayer


class PopulationSynapses(HeldLayer):
    """A conductance layer with a choice of synapses.

    A synapse that does not exist has G = 0 and no gradient, whatever its place in the parameter holds. One that is not
    plastic has a constant G, which neither optimizers nor the functions of `conductance.init` move.
    """

    exists: Tensor
    constant: Tensor

    def choose(self, exists: Tensor | None, plastic: Tensor | None) -> None:
        """Say which synapses there are and which of them learn, once; then draw the conductances.

        Args:
            exists: in a shape that broadcasts to that of the conductances, bool; None for all.
            plastic: likewise.
        """
        shape, device = self.g.shape, self.g.device
        self.register_buffer("exists", None if exists is None else exists.expand(shape).clone().to(device))
        self.register_buffer("plastic", None if plastic is None else plastic.expand(shape).clone().to(device))
        self.register_buffer("constant", None if plastic is None else torch.zeros_like(self.g))
        if plastic is not None and not bool(plastic.any()):
            self.g.requires_grad_(False)
        self.reset_parameters()

    @property
    def synapse_mask(self) -> Tensor | None:
        """Which synapses there are, of the shape of the conductances; None where all are."""
        return self._buffers.get("exists")

    @property
    def constant_synapses(self) -> Tensor | None:
        """Which synapses are not plastic, of the shape of the conductances; None where all are."""
        plastic = self._buffers.get("plastic")
        return None if plastic is None else ~plastic

    def _chosen(self, conductance: Tensor) -> Tensor:
        exists, plastic = self._buffers.get("exists"), self._buffers.get("plastic")
        if exists is not None:
            conductance = torch.where(exists, conductance, 0.0)
        return conductance if plastic is None else torch.where(plastic, conductance, self.constant)

    @property
    def synapse_count(self) -> int:
        """How many synapses there are; those of a kernel count once."""
        exists = self._buffers.get("exists")
        return self.g.numel() if exists is None else int(exists.sum())

    @property
    def fan_in(self) -> int:
        """How many synapses a unit has, in the mean and rounded."""
        return max(1, round(self.synapse_count / self.out_channels))

    @torch.no_grad()
    def set_conductance(self, conductance: Tensor) -> None:
        """Set G of all synapses that exist and are plastic; what is given for others is not looked at.

        Raises:
            InputError: as for any layer.
        """
        given = torch.as_tensor(conductance, dtype=self.g.dtype, device=self.g.device)
        super().set_conductance(given if self.synapse_mask is None else torch.where(self.exists, given, 0.0))

    @torch.no_grad()
    def set_constant(self, conductance: Tensor) -> None:
        """Set G of all synapses, those that are not plastic too.

        Raises:
            InputError: as for any layer.
        """
        self.set_conductance(conductance)
        if self._buffers.get("plastic") is not None:
            given = torch.as_tensor(conductance, dtype=self.g.dtype, device=self.g.device).expand_as(self.g)
            self.constant.copy_(given if self.synapse_mask is None else torch.where(self.exists, given, 0.0))
            self.refresh()

    def reset_parameters(self) -> None:
        """Draw the conductances of the synapses that exist anew (`nn.start`) and set the leak as it was given."""
        if self.g.is_meta:
            return
        self.leak.reset_parameters()
        if self.gate is not None:
            self.gate.reset_parameters()
        with torch.no_grad():
            drawn = start.default_start(self.g, self.presynaptic, self.unit_valence, self._buffers.get("exists"))
            self.set_constant(drawn)

    def extra_repr(self) -> str:
        """Sizes, and every option that differs from its default."""
        return f"{super().extra_repr()}, {self.synapse_count} synapses"


class LinearSynapses(PopulationSynapses, CWALinear):
    """From every presynaptic neuron to every unit, as far as the synapses exist."""


class _Convolution1d(PopulationSynapses, CWAConv1d):
    """The same kernel at every point of a line."""


class _Convolution2d(PopulationSynapses, CWAConv2d):
    """The same kernel at every point of a plane."""


class _Convolution3d(PopulationSynapses, CWAConv3d):
    """The same kernel at every point of a volume."""


CONVOLUTIONS: dict[int, Any] = {1: _Convolution1d, 2: _Convolution2d, 3: _Convolution3d}


def make_synapses(
    kind: type[PopulationSynapses],
    sizes: Sequence[Any],
    exists: Tensor | None,
    plastic: Tensor | None,
    **options: Any,
) -> PopulationSynapses:
    """A layer of a kind, with its choice of synapses.

    Args:
        kind: `LinearSynapses`, or one of `CONVOLUTIONS`.
        sizes: the positional arguments of the kind.
        exists, plastic: see `PopulationSynapses.choose`.
        options: the keyword arguments of the kind.
    """
    with warnings.catch_warnings():  # that interneurons are driven by excitation alone is as it should be
        warnings.filterwarnings("ignore", "all .* presynaptic channels are", UserWarning)
        layer = kind(*sizes, **options)
    layer.choose(exists, plastic)
    return layer
