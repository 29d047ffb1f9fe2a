"""Loops that come to rest: how strong a recurrent module's own synapses are beside its input, before it learns."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from conductance import functional
from conductance.nn.held import HeldLayer
from conductance.nn.recurrence import Loop, SliceMap, growth, steady_state

RADIUS = 0.95
"""The spectral radius at which a recurrent module starts, at most, where nothing in it takes time."""

HALVINGS = 5
BALANCING_STEPS = 6
WEAKEST = 1e-3
# A leak makes up for missing inhibition by its resting potential. Where that lies at the middle of the range or above,
# a leak that is as strong as the excitation itself shunts it; no leak is stronger than this many times the excitation.
STRONGEST_LEAK = 4.0


@torch.no_grad()
def settle(slices: SliceMap, radius: float = RADIUS, *, balance: bool = False) -> float:
    r"""Weaken all synapses that close loops by one factor, as far as needed for a spectral radius below a limit.

    Slow membranes and synapses remember without any loop: with all loops cut, the spectral radius is still
    :math:`\rho_0`. Loops may fill a share of what is left below 1; the limit is
    :math:`1 - (1 - \rho_0)(1 - \mathrm{radius})`, which is ``radius`` itself where nothing takes time.

    A unit that so loses inhibition gets it back from where no loop is closed: by its other inhibitory synapses, or if
    it has none by its leak, so that its potential at rest stays where it was. Synapses that are constant stay, and so
    do those whose conductance was given.

    Args:
        slices: a module's step.
        radius: > 0; see above.
        balance: first scale each unit's inhibition until it equals its excitation in the state of rest.

    Returns:
        The factor.
    """
    rest = steady_state(slices)
    if balance:
        for _ in range(BALANCING_STEPS):
            for loop, p in _received(slices, rest).items():
                _balance(loop, p)
            rest = steady_state(slices, rest)
    if float(growth(slices, rest).amax()) <= radius:
        return 1.0
    start = {loop: (loop.layer.conductance.clone(), loop.layer.leak.conductance.clone()) for loop in slices.loops}
    scaled = {loop: _closing(loop) for loop in slices.loops}
    if not any(bool(each.any()) for each in scaled.values()):
        return 1.0
    wanted = {loop: _mean_potential(loop.layer, p) for loop, p in _received(slices, rest).items()}

    def radius_at(factor: float) -> float:
        nonlocal rest
        for loop, (G, leak) in start.items():
            loop.layer.leak.set_conductance(leak)
            loop.layer.set_conductance(torch.where(scaled[loop], factor * G, G))
        for _ in range(2 if 0 < factor < 1 else 0):  # rest moves with what makes up for the loops
            for loop, p in _received(slices, rest).items():
                _make_up(loop, p, scaled[loop], start[loop], wanted[loop])
            rest = steady_state(slices, rest)
        return float(growth(slices, steady_state(slices)).amax())  # as `spectral_radius` finds it

    limit = 1 - max(0.0, 1 - radius_at(0.0)) * (1 - radius)
    weak, strong = WEAKEST, 1.0
    if radius_at(strong) <= limit:
        return strong
    for _ in range(HALVINGS):
        middle = (weak * strong) ** 0.5
        weak, strong = (middle, strong) if radius_at(middle) <= limit else (weak, middle)
    while radius_at(weak) > limit and weak > WEAKEST:  # what makes up for the loops depends on the way to here
        weak *= 0.8
    return weak


def _received(slices: SliceMap, rest: Any) -> dict[Loop, Tensor]:
    """What each layer reads in the state of rest."""
    found: dict[Any, Tensor] = {}
    with _listening(slices, found):
        slices.step(rest)
    return {loop: found[loop.layer] for loop in slices.loops}


@contextmanager
def _listening(slices: SliceMap, found: dict[Any, Tensor]) -> Iterator[None]:
    """Keep what each layer reads last."""

    def listen(layer: torch.nn.Module, args: tuple[Tensor, ...]) -> None:
        found[layer] = args[0]

    handles = [loop.layer.register_forward_pre_hook(listen) for loop in slices.loops]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _closing(loop: Loop) -> Tensor:
    """Which synapses close a loop and are scaled, of the shape of the conductances.

    Units that nothing else excites, such as interneurons, keep their excitation, or they would fall silent.
    """
    layer = loop.layer
    exists = layer.conductance > 0
    closing = loop.channels.to(exists.device).view(1, -1, *(1,) * (exists.ndim - 2)) & exists
    excitatory = (layer.presynaptic.per_synapse(layer.conductance) > 0) & exists
    excited = (excitatory & ~closing).flatten(1).any(1).view(-1, *(1,) * (exists.ndim - 1))
    scaled = closing & (excited | ~excitatory)
    constant = layer.constant_synapses
    return scaled if constant is None else scaled & ~constant


def _inhibitory(layer: HeldLayer) -> Tensor:
    return (layer.presynaptic.per_synapse(layer.conductance) < 0).expand_as(layer.conductance)


def _conductances(layer: HeldLayer, p: Tensor, G: Tensor, leak: Tensor) -> tuple[Tensor, Tensor]:
    """Mean E' and I' of each unit over samples and positions, (out,)."""
    both = functional.excitation_inhibition(p, G, layer.presynaptic, leak, layer.synaptic_sum)
    E, I = (each.movedim(layer.channel_axis, 0).flatten(1).mean(1) for each in both)
    return E, I


def _drive(layer: HeldLayer, p: Tensor, G: Tensor) -> Tensor:
    """Mean of sum_j G_ij e_j p_j, for each unit, (out,)."""
    E, I = _conductances(layer, p, G, torch.zeros_like(layer.leak()))
    return E - I


def _mean_potential(layer: HeldLayer, p: Tensor) -> Tensor:
    """The potential at the mean conductances, for each unit, (out,)."""
    E, I = _conductances(layer, p, layer.conductance, layer.leak())
    return (E - I) / (E + I)


def _balance(loop: Loop, p: Tensor) -> None:
    """Half the way to as much inhibition as excitation, by all inhibitory synapses that may change."""
    layer = loop.layer
    G, constant = layer.conductance, layer.constant_synapses
    scaled = _inhibitory(layer) if constant is None else _inhibitory(layer) & ~constant
    excess, deficit = _drive(layer, p, torch.where(scaled, 0.0, G)), -_drive(layer, p, torch.where(scaled, G, 0.0))
    factor = torch.where((excess > 0) & (deficit > 0), (excess / deficit).sqrt(), 1.0)
    layer.set_conductance(torch.where(scaled, G * factor.view(-1, *(1,) * (G.ndim - 1)), G))


def _make_up(loop: Loop, p: Tensor, closing: Tensor, start: tuple[Tensor, Tensor], wanted: Tensor) -> None:
    """Bring each unit's mean potential back to what it was: by other inhibitory synapses, or by the leak.

    Args:
        loop: a layer whose loops have been weakened.
        p: what it reads.
        closing: which synapses have been scaled.
        start: conductances and leak before.
        wanted: the potential at the mean conductances before, (out,).
    """
    layer, (G_before, leak_before) = loop.layer, start
    G, inhibitory = layer.conductance, _inhibitory(layer)
    constant = layer.constant_synapses
    other = inhibitory & ~closing & (G_before > 0)
    if constant is not None:
        other &= ~constant
    E, I = _conductances(layer, p, torch.where(other, 0.0, G), layer.leak())
    E_other, I_other = _conductances(layer, p, torch.where(other, G_before, 0.0), torch.zeros_like(layer.leak()))
    # by what factor f the other inhibition leads to the potential wanted, (E - I + f dE) / (E + I + f dD) = wanted
    missing, gained = E - I - wanted * (E + I), I_other - E_other + wanted * (E_other + I_other)
    factor = torch.where((gained > 0) & (missing > 0), missing / gained, 1.0).clamp(1.0, 1 / WEAKEST)
    layer.set_conductance(torch.where(other, G_before * factor.view(-1, *(1,) * (G.ndim - 1)), G))
    if loop.leak_is_free:
        loses = (closing & inhibitory & (G_before > 0)).flatten(1).any(1) & ~other.flatten(1).any(1)
        E, I = _conductances(layer, p, G, torch.zeros_like(layer.leak()))
        share = (wanted - layer.resting_potential).clamp(min=1 / STRONGEST_LEAK)
        needed = ((E - I - wanted * (E + I)) / share).clamp(min=0)
        layer.leak.set_conductance(torch.where(loses, torch.maximum(leak_before, needed), leak_before))
