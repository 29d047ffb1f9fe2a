"""A trained network as coupled membranes: each layer's conductances in nS, its potentials in mV, its capacitance."""

import warnings
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from conductance import functional
from conductance.analysis import observe
from conductance.biophysics._checks import refuse_bad_conductance, refuse_bad_probability, refuse_where
from conductance.biophysics.gate import rectified_gate
from conductance.biophysics.rescaling import DEFAULT_RANGE, PotentialRange
from conductance.errors import InputError
from conductance.functional import SMALLEST_LEAK
from conductance.nn import ConductanceLayer, LateralConv2d, LateralLinear
from conductance.valence import Valence

CAPACITANCE = 200.0  # pF, with a leak of 10 nS the 20 ms of Vogels & Abbott (2005), J. Neurosci. 25:10786
TOTAL_CONDUCTANCE = 50.0  # nS


@dataclass(frozen=True)
class MembraneLayer:
    """One layer's units as membranes: C dV_i/dt = G_r (E_r - V_i) + sum_j G_ij p_j (E_j - V_i).

    A convolution's units are the same at every position, so there is one of each quantity per channel.

    Attributes:
        name: the layer's name in the network.
        layer: the layer itself, which knows how its synapses are laid out (convolution or all to all).
        potentials: the mV that valences -1 and +1 stand for.
        nanosiemens: what a conductance of 1 in the layer is here. It cancels from z, but not from C / G.
        capacitance: C of each unit in pF, > 0.
    """

    name: str
    layer: ConductanceLayer
    potentials: PotentialRange
    nanosiemens: float
    capacitance: float

    @property
    def conductance(self) -> Tensor:
        """G_ij in nS, >= 0, (out, fan_in, *kernel); the excitatory copies of a doubled input come first."""
        return self.nanosiemens * self.layer.conductance.detach()

    @property
    def reversal_potential(self) -> Tensor:
        """E_j in mV of each presynaptic channel, (in,), or (2 in,) for a doubled input."""
        return self.potentials.to_millivolts(self.layer.valence)

    @property
    def resting_conductance(self) -> Tensor:
        """G_r in nS of each unit, (out,)."""
        return self.nanosiemens * self.layer.resting_conductance.detach()

    @property
    def resting_potential(self) -> Tensor:
        """E_r in mV of each unit, (out,)."""
        return self.potentials.to_millivolts(self.layer.resting_potential.detach())

    @cached_property
    def presynaptic(self) -> Valence:
        """The valence of each presynaptic neuron's channel; the copies of a doubled input are neurons apart."""
        layer = self.layer
        if not layer.doubled_input:
            return layer.presynaptic
        e = self._side_by_side(layer.valence.view(2, -1), 0)
        with warnings.catch_warnings():  # of one-sided inputs the layer has warned when it was made
            warnings.simplefilter("ignore")
            return Valence(e, len(e), groups=layer.groups, device=e.device, dtype=e.dtype)

    def per_presynaptic_neuron(self, p: Tensor) -> Tensor:
        """The layer's input p, (N, in, *positions), for every neuron of `presynaptic`: doubled where the layer does."""
        if not self.layer.doubled_input:
            return p
        return self._side_by_side(torch.stack((p, p)), p.ndim + self.layer.channel_axis)

    def _side_by_side(self, copies: Tensor, axis: int) -> Tensor:
        """Copies that lie in front as channels of their own, along the axis; each group's excitatory copies first."""
        by_group = copies.unflatten(axis + 1, (self.layer.groups, -1))
        return by_group.movedim(0, axis + 1).flatten(axis, axis + 2)

    def open_conductances(self, p: Tensor) -> tuple[Tensor, Tensor]:
        """E' and I' in nS, leak included, given what each neuron of `presynaptic` opens."""
        layer = self.layer
        E, I = functional.excitation_inhibition(
            p, layer.conductance, self.presynaptic, layer.leak(), layer.synaptic_sum
        )
        return self.nanosiemens * E, self.nanosiemens * I

    def open_probability(self, potential: Tensor) -> Tensor:
        """What its units' synapses onto others are open at V (mV): the rectified gate, p = max(z, 0) (paper eq. 4)."""
        return rectified_gate(potential, threshold=self.potentials.midpoint, slope_factor=self.potentials.half_width)


@dataclass(frozen=True)
class BiophysicalNetwork:
    """A trained network whose hidden units are membranes; see `to_biophysical`.

    The affine readout, where there is one, is no membrane: it has weights of either sign, no reversal potentials and
    no potential of its own. It reads the open probabilities of the last layer at every moment.

    Attributes:
        model: the network, as it was.
        layers: its conductance layers, in the order in which it holds them.
    """

    model: nn.Module
    layers: tuple[MembraneLayer, ...]

    @cached_property
    def by_name(self) -> dict[str, MembraneLayer]:
        """The layers by their names in the network."""
        return {each.name: each for each in self.layers}

    def steady_state(self, images: Tensor) -> dict[str, Tensor]:
        """V in mV of every unit where nothing changes any more, by layer, (N, units, *positions): z of each layer.

        Args:
            images: the network's input, (N, ...), in [0, 1].

        Raises:
            InputError: an image lies outside [0, 1].
        """
        refuse_bad_probability(images, "images")
        return {
            seen.name: self.by_name[seen.name].potentials.to_millivolts(seen.z) for seen in observe(self.model, images)
        }


def to_biophysical(
    model: nn.Module,
    potentials: PotentialRange = DEFAULT_RANGE,
    total_conductance: float = TOTAL_CONDUCTANCE,
    *,
    capacitance: float = CAPACITANCE,
    images: Tensor | None = None,
) -> BiophysicalNetwork:
    """Read a trained network as membranes in millivolts, nanosiemens and picofarads.

    A valence e of +1 becomes the reversal potential `potentials.maximum` (AMPA's by default), -1 becomes
    `potentials.minimum` (GABA-A's by default; -90 mV for GABA-B), others what lies between. Conductances of each
    layer are multiplied by one factor, which changes no steady state: they are given a size because C / G is a time.

    Args:
        model: a network of conductance layers, with an affine readout as its last part or without one: an FCN, a CNN,
            a ResNet whose shortcuts join by ``mean``, an ``nn.Sequential``. It is not changed.
        potentials: the mV that valences -1 and +1 stand for.
        total_conductance: in nS, > 0: what is open at a unit, leak included, in the mean over a layer's units and
            over `images`; without images, what a layer's units have in the mean with all their synapses open.
        capacitance: C of each unit in pF, > 0.
        images: some of the network's inputs, (N, ...), in [0, 1]; at least one.

    Raises:
        InputError: a hidden layer is affine, normalizes, has signed synapses, a gate or interneurons, or is used
            twice; the network has no conductance layer; a conductance is negative or not finite; a unit has none at
            all; a total conductance or capacitance is not above 0; an image lies outside [0, 1]. Potentials in volts
            are refused by `PotentialRange`.
    """
    for name, value, unit in (("total_conductance", total_conductance, "nS"), ("capacitance", capacitance, "pF")):
        if not 0 < value < float("inf"):
            raise InputError(f"{name} is {value:g} {unit}; give a finite number above 0")
    layers = _conductance_layers(model)
    for name, layer in layers.items():
        _check_conductances(name, layer)
    if images is None:
        mean = {name: _all_open(layer).mean().item() for name, layer in layers.items()}
    else:
        refuse_bad_probability(images, "images")
        if not len(images):
            raise InputError("images is empty; give at least one, or none at all (None)")
        mean = {seen.name: (seen.excitation + seen.inhibition).mean().item() for seen in observe(model, images)}
    return BiophysicalNetwork(
        model,
        tuple(
            MembraneLayer(name, layer, potentials, total_conductance / mean[name], capacitance)
            for name, layer in layers.items()
        ),
    )


def _conductance_layers(model: nn.Module) -> dict[str, ConductanceLayer]:
    """The conductance layers by name, if all that has parameters or buffers of its own is one, but for a readout."""
    parts = dict(_parts_with_state(model))
    names = list(parts)
    if names and isinstance(parts[names[-1]], nn.Linear):
        del parts[names[-1]]
    layers: dict[str, ConductanceLayer] = {}
    for name, part in parts.items():
        kind = type(part).__name__
        if not isinstance(part, ConductanceLayer):
            raise InputError(
                f"layer {name or 'of the network'} is {kind}, which is no membrane: hidden layers must be conductance "
                "layers (CWALinear, CWAConv2d, ...) as the family cwa has them; only a Linear readout may come last"
            )
        if part.gate is not None or isinstance(part, (LateralLinear, LateralConv2d)):
            raise InputError(
                f"layer {name} is a {kind} with a gate or interneurons of its own; membranes here have the rectified "
                "gate p = max(z, 0) and no others between them"
            )
        if any(part is other for other in layers.values()):
            raise InputError(f"layer {name} is a {kind} that is used twice; each use would be membranes of its own")
        layers[name] = part
    if not layers:
        raise InputError(f"{type(model).__name__} has no conductance layer, so it has no membranes")
    return layers


def _parts_with_state(module: nn.Module, prefix: str = "") -> list[tuple[str, nn.Module]]:
    """The conductance layers, and every other module with parameters or buffers of its own."""
    own = [*module._parameters.values(), *module._buffers.values()]
    if isinstance(module, ConductanceLayer) or any(tensor is not None for tensor in own):
        return [(prefix, module)]
    return [
        found
        for name, part in module._modules.items()
        if part is not None
        for found in _parts_with_state(part, f"{prefix}.{name}" if prefix else name)
    ]


def _all_open(layer: ConductanceLayer) -> Tensor:
    return (layer.conductance.flatten(1).sum(1) + layer.resting_conductance).detach()


def _check_conductances(name: str, layer: ConductanceLayer) -> None:
    refuse_bad_conductance(layer.conductance.detach(), f"conductance of layer {name}")
    refuse_bad_conductance(layer.resting_conductance.detach(), f"resting_conductance of layer {name}")
    total = _all_open(layer)
    # a leak of 0 is held as SMALLEST_LEAK
    refuse_where(
        total <= 2 * SMALLEST_LEAK,
        total,
        f"total conductance of layer {name}, unit ",
        "a membrane without conductance has no potential: give the unit a resting_conductance above 0",
    )
