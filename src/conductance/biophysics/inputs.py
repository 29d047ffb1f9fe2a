"""Every open conductance of a layer's units at the steady state of a network, whatever way it joins their average."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from conductance.biophysics.network import BiophysicalNetwork
from conductance.biophysics.rest import Rest, rest

ALWAYS_OPEN = "always open"

# G in the layer's own units, open probability, valence; of each presynaptic neuron.
Synapses = tuple[Tensor, Tensor, Tensor]


@dataclass(frozen=True)
class InputsAtRest:
    """What one layer's units receive for one image.

    A sum of G p has the derivative G with respect to p, however synapses are laid out; so tensors here carry the graph
    of autograd back to the open probabilities.

    Attributes:
        rest: the layer, and what it receives.
        sources: for each layer of synapses that joins it, its name and what each presynaptic neuron opens.
    """

    rest: Rest
    sources: list[tuple[str, Tensor]]

    @property
    def units(self) -> int:
        """How many units the layer has, at all positions."""
        return self.rest.total.numel()

    def synapses_of(self, unit: int) -> Iterator[tuple[str, int, Synapses]]:
        """The synapses of one unit, numbered as in the flattened ``(units, *positions)``.

        Yields:
            For the layer's input (""), or each projection onto its population; for each of `sources`; and for
            `ALWAYS_OPEN`: the name, how many presynaptic neurons there are, and the synapses from each.
        """
        total, p, membranes = self.rest.total, self.rest.p, self.rest.membranes
        (G,) = torch.autograd.grad(total.flatten()[unit], p, retain_graph=True)
        e = membranes.along_channels(membranes.presynaptic.values).expand_as(p)
        synapses = G.flatten(), p.detach().flatten(), e.flatten()
        names, firsts = zip(*(self.rest.origins or (("", 0),)), strict=True)
        for name, first, last in zip(names, firsts, (*firsts[1:], p.numel()), strict=True):
            yield name, last - first, (synapses[0][first:last], synapses[1][first:last], synapses[2][first:last])
        if self.rest.joining is not None:
            yield from self._joining(unit, self.rest.joining)

    def _joining(self, unit: int, joining: Tensor) -> Iterator[tuple[str, int, Synapses]]:
        E, I = (each.flatten()[unit] for each in joining.chunk(2, self.rest.membranes.layer.channel_axis))
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


def at_rest(network: BiophysicalNetwork, layer: str, image: tuple[Tensor, ...]) -> InputsAtRest:
    """What a layer's units receive at the network's steady state; in the last time slice, where there are several.

    Args:
        network: what `to_biophysical` gives.
        layer: the layer's name.
        image: one input of the network, or one for each of its arguments, (1, ...), in [0, 1].

    Raises:
        InputError: an open probability lies outside [0, 1], or conductances that join a layer's are none.
    """
    with torch.enable_grad():
        seen, sources = rest(network, image)
    found = seen[layer]
    if found.joining is None or not found.joining.requires_grad or not sources:
        return InputsAtRest(found, [])
    leaves = [p for _, p in sources]
    gradients = torch.autograd.grad(found.joining.sum(), leaves, retain_graph=True, allow_unused=True)
    return InputsAtRest(found, [each for each, G in zip(sources, gradients, strict=True) if G is not None])
