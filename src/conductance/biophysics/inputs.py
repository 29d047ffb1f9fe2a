"""Every open conductance of a layer's units at the steady state of a network, whatever way it joins their average."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from conductance import functional
from conductance.biophysics.coupling import check_input, couple
from conductance.biophysics.layers import MembraneLayer, SynapseLayer
from conductance.biophysics.network import BiophysicalNetwork

ALWAYS_OPEN = "always open"

# G in the layer's own units, open probability, valence; of each presynaptic neuron.
Synapses = tuple[Tensor, Tensor, Tensor]


@dataclass(frozen=True)
class InputsAtRest:
    """What one layer's units receive for one image.

    A sum of G p has the derivative G with respect to p, however synapses are laid out; so tensors here carry the graph
    of autograd back to the open probabilities.

    Attributes:
        membranes: the layer.
        p: what each neuron of the layer's input opens, (1, C, *positions).
        total: E' + I' of the layer's own synapses and leak, (1, units, *positions).
        joining: the E' of all units, then the I', that join them, (1, 2 units, *positions), or None.
        sources: for each layer of synapses that they come through, its name and what each presynaptic neuron opens.
    """

    membranes: MembraneLayer
    p: Tensor
    total: Tensor
    joining: Tensor | None
    sources: list[tuple[str, Tensor]]

    @property
    def units(self) -> int:
        """How many units the layer has, at all positions."""
        return self.total.numel()

    def synapses_of(self, unit: int) -> Iterator[tuple[str, int, Synapses]]:
        """The synapses of one unit, numbered as in the flattened (units, *positions).

        Yields:
            For the layer's input (""), for each of `sources` and for `ALWAYS_OPEN`: the name, how many presynaptic
            neurons there are, and the synapses from each.
        """
        (G,) = torch.autograd.grad(self.total.flatten()[unit], self.p, retain_graph=True)
        along = (-1, *(1,) * (-1 - self.membranes.layer.channel_axis))
        e = self.membranes.presynaptic.values.view(along).expand_as(self.p)
        yield "", self.p.numel(), (G.flatten(), self.p.detach().flatten(), e.flatten())
        if self.joining is not None:
            yield from self._joining(unit)

    def _joining(self, unit: int) -> Iterator[tuple[str, int, Synapses]]:
        assert self.joining is not None
        E, I = (each.flatten()[unit] for each in self.joining.chunk(2, self.membranes.layer.channel_axis))
        values = [p.detach().flatten() for _, p in self.sources]
        to_E, to_I = ([G.flatten() for G in _derivatives(total, self.sources)] for total in (E, I))
        rest_E, rest_I = (
            (total.detach() - sum(G @ p for G, p in zip(synapses, values, strict=True))).view(1)
            for total, synapses in ((E, to_E), (I, to_I))
        )
        rounding = 8 * torch.finfo(E.dtype).eps * (E + I).detach()
        if any((G < 0).any() for G in (*to_E, *to_I)) or min(rest_E, rest_I) < -rounding:
            # no sum of synapses, but what it amounts to now is a conductance all the same
            to_E, to_I = ([torch.zeros_like(G) for G in each] for each in (to_E, to_I))
            rest_E, rest_I = E.detach().view(1), I.detach().view(1)
        for (name, p), excitatory, inhibitory in zip(self.sources, to_E, to_I, strict=True):
            yield name, p.numel(), _as_synapses(excitatory, inhibitory, p.detach().flatten())
        rest_E, rest_I = (each.where(each > rounding, 0.0) for each in (rest_E, rest_I))
        yield ALWAYS_OPEN, 1, _as_synapses(rest_E, rest_I, torch.ones_like(rest_E))


def _derivatives(total: Tensor, sources: list[tuple[str, Tensor]]) -> list[Tensor]:
    leaves = [p for _, p in sources]
    if not leaves or not total.requires_grad:
        return [torch.zeros_like(p) for p in leaves]
    found = torch.autograd.grad(total, leaves, retain_graph=True, allow_unused=True)
    return [torch.zeros_like(p) if G is None else G for p, G in zip(leaves, found, strict=True)]


def _as_synapses(excitatory: Tensor, inhibitory: Tensor, p: Tensor) -> Synapses:
    """An excitatory and an inhibitory conductance as one, whose valence lies between."""
    G = excitatory + inhibitory
    return G, p, (excitatory - inhibitory) / G.where(G > 0, 1.0)


def at_rest(network: BiophysicalNetwork, layer: str, image: Tensor) -> InputsAtRest:
    """What a layer's units receive at the network's steady state; in the last time slice, where there are several.

    Args:
        network: what `to_biophysical` gives.
        layer: the layer's name.
        image: one input of the network, (1, ...), in [0, 1].

    Raises:
        InputError: an open probability lies outside [0, 1], or conductances that join a layer's are none.
    """
    seen: dict[str, InputsAtRest] = {}
    sources: list[tuple[str, Tensor]] = []
    coupled = couple(network, lambda each: _Resting(each, seen), lambda each: _Source(each, sources))
    with torch.enable_grad():
        coupled(image)
    found = seen[layer]
    if found.joining is not None and found.joining.requires_grad:
        total = found.joining.sum()
        leaves = [p for _, p in sources]
        gradients = torch.autograd.grad(total, leaves, retain_graph=True, allow_unused=True)
        found.sources.extend(each for each, G in zip(sources, gradients, strict=True) if G is not None)
    return found


class _Resting(nn.Module):
    """Membranes at their steady state, which note what they receive."""

    def __init__(self, membranes: MembraneLayer, seen: dict[str, InputsAtRest]) -> None:
        super().__init__()
        self.membranes, self.seen = membranes, seen

    def forward(self, p: Tensor, extra_conductances: Tensor | None = None) -> Tensor:
        """As the layer's."""
        membranes, layer = self.membranes, self.membranes.layer
        check_input(membranes, p, extra_conductances)
        opened = _as_leaf(membranes.per_presynaptic_neuron(p))
        E, I = membranes.synaptic_conductances(opened)
        self.seen[membranes.name] = InputsAtRest(membranes, opened, E + I, extra_conductances, [])
        if extra_conductances is not None:
            extra_E, extra_I = extra_conductances.chunk(2, layer.channel_axis)
            E, I = E + extra_E, I + extra_I
        z = functional.membrane_potential(E.detach(), I.detach())
        return z.clamp(min=0) if layer.activation == "relu" else z


class _Source(nn.Module):
    """Synapses onto another layer's units, which note what their presynaptic neurons open."""

    def __init__(self, synapses: SynapseLayer, sources: list[tuple[str, Tensor]]) -> None:
        super().__init__()
        self.synapses, self.sources = synapses, sources

    def forward(self, p: Tensor, extra_conductances: Tensor | None = None) -> Tensor:
        """As the layer's."""
        check_input(self.synapses, p, extra_conductances)
        opened = _as_leaf(self.synapses.per_presynaptic_neuron(p))
        self.sources.append((self.synapses.name, opened))
        both = torch.cat(self.synapses.synaptic_conductances(opened), self.synapses.layer.channel_axis)
        return both if extra_conductances is None else both + extra_conductances


def _as_leaf(p: Tensor) -> Tensor:
    return p.detach().clone().requires_grad_()
