"""Where conductances start, whatever form their parameters have.

Layers draw a good start themselves, without data (`reset_parameters`). Each function here takes a layer or a whole
model, sets the conductances of every `ConductanceLayer` in it, and returns it. `initialize` balances a network on a
batch. Its parts: `lognormal_` and `exponential_` draw conductances; `twin_`, `scale_leak_`, `balance_` and
`balance_sums_` rearrange or scale what was drawn, in that order. `glorot_` is the paper's start.
"""

from collections.abc import Collection, Iterator
from math import inf
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from conductance import functional
from conductance.checked import checked
from conductance.errors import InputError
from conductance.nn import ConductanceLayer, start
from conductance.nn.held import HeldLayer
from conductance.nn.modes import as_tensors, call, evaluating
from conductance.nn.recurrence import RecurrentModule
from conductance.nn.settling import RADIUS, settle
from conductance.nn.visit import visit
from conductance.sharded import refuse_sharded

M = TypeVar("M", bound=nn.Module)


@checked
def conductance_layers(module: nn.Module) -> Iterator[ConductanceLayer]:
    """The conductance layers of a model, in the order in which they were defined."""
    return (layer for layer in module.modules() if isinstance(layer, ConductanceLayer))


def _layers_to_set(module: nn.Module) -> Iterator[ConductanceLayer]:
    refuse_sharded(module)
    return conductance_layers(module)


@checked
def initialize(model: M, batch: Any, *, sigma: float = 1.5, leak: float | None = None) -> M:
    """The data-dependent initialization: heavy-tailed conductances, twins, leaks to scale, excitation balanced.

    Recurrent modules (circuits, `nn.CWARNN`) are balanced in the state in which their time slices come to rest, and
    their loops are weakened, if need be, until they come to rest by themselves (`settle_`). No labels are looked at,
    and the batch is not kept. Works on every module with conductance layers in it; all other layers stay as they are.

    Args:
        model: a layer or a model.
        batch: open probabilities in [0, 1], as the model takes them; some hundred samples are enough.
        sigma: standard deviation of the log-conductances (`lognormal_`).
        leak: each unit's leak as a share of the synaptic conductance that it sees on the batch (`scale_leak_`); as
            the layers were built where None.

    Raises:
        InputError: sigma or leak out of range, a batch that the model cannot take, or a model that is sharded
            (`fully_shard`); the conductances are then as they were.
    """
    if leak is not None:
        _check_leak_share(leak)
    refuse_sharded(model)
    visit(model, batch, lambda *_: None)  # refuses a bad batch while nothing has changed
    lognormal_(model, sigma)
    twin_(model)
    for layer in conductance_layers(model):
        if isinstance(layer, HeldLayer):
            layer.leak.reset_parameters()  # it may have been scaled to make up for weakened loops
    if leak is not None:
        scale_leak_(model, batch, leak)
    balance_(model, batch)
    return settle_(model, batch, balance=True)


@checked
def settle_(model: M, batch: Any, radius: float = RADIUS, *, balance: bool = False) -> M:
    """Weaken the loops of recurrent modules until the state of one time slice comes to rest in the next ones.

    A circuit whose inhibition returns a slice later alternates between too much and too little if its loops are strong
    and nothing in them takes time; its gradients then grow or vanish. Here all synapses that close loops are scaled by
    one factor, at most 1, until `nn.spectral_radius` is ``radius`` or less. What a unit so loses in inhibition, its
    other inhibitory synapses make up for, or if it has none its leak: its potential at rest stays. Circuits start so,
    on noise (`circuits.Circuit.build`); here the batch takes the place of noise. Modules without loops stay.

    Args:
        model: a `circuits.CircuitNetwork`, a `nn.CWARNN`, or a model with such modules.
        batch: what the model takes; some samples are enough.
        radius: > 0; 1 is where changes neither grow nor fade. Slow membranes and synapses remember without loops; where
            there are any, loops may fill this share of what they leave below 1.
        balance: first scale each unit's inhibition until it equals its excitation in the state of rest.

    Raises:
        InputError: a radius that is not positive, or a batch that the model cannot take.
    """
    if not radius > 0:
        raise InputError(f"radius={radius}: must be positive; below 1, slices come to rest")
    refuse_sharded(model)
    for module, inputs in _recurrent(model, batch):
        settle(module.slice_map(*inputs), radius, balance=balance)
    return model


@torch.no_grad()
def _recurrent(model: nn.Module, batch: Any) -> list[tuple[RecurrentModule, tuple[Any, ...]]]:
    """The recurrent modules of a model, and what each receives."""
    found: dict[RecurrentModule, tuple[Any, ...]] = {}

    def hook(module: nn.Module, args: tuple[Any, ...]) -> None:
        assert isinstance(module, RecurrentModule)
        found.setdefault(module, args)

    modules = [each for each in model.modules() if isinstance(each, RecurrentModule)]
    handles = [each.register_forward_pre_hook(hook) for each in modules]
    try:
        if modules:
            batch = as_tensors(model, batch)
            with evaluating(model), torch.compiler.set_stance("force_eager"):
                call(model, batch)
    finally:
        for handle in handles:
            handle.remove()
    return list(found.items())


@checked
@torch.no_grad()
def glorot_(module: M) -> M:
    """Glorot-uniform around 1, the paper's start (section 4.3).

    All units of a layer then do nearly the same, so that deep networks hardly learn from it (docs/training.md).
    """
    for layer in _layers_to_set(module):
        layer.set_conductance(1 + nn.init.xavier_uniform_(torch.empty_like(layer.g)).clamp(min=-1))
    return module


@checked
def lognormal_(module: M, sigma: float = 1.5, mean: float = 1.0) -> M:
    """Log-normal conductances, as cortical synapses have them: log G is normal with standard deviation ``sigma``.

    Args:
        module: a layer or a model.
        sigma: >= 0; the larger, the fewer synapses carry most of the conductance.
        mean: > 0, the mean of G itself.

    Raises:
        InputError: sigma or mean out of range.
    """
    if not (0 <= sigma < inf and 0 < mean < inf):
        raise InputError(f"sigma={sigma}, mean={mean}: sigma must not be negative, mean must be positive; both finite")
    for layer in _layers_to_set(module):
        layer.set_conductance(start.lognormal(layer.g.detach(), sigma, mean))
    return module


@checked
def exponential_(module: M, mean: float = 1.0) -> M:
    """Exponentially distributed conductances with the given mean (> 0).

    Raises:
        InputError: mean not positive.
    """
    if not 0 < mean < inf:
        raise InputError(f"mean={mean}: must be positive and finite")
    for layer in _layers_to_set(module):
        layer.set_conductance(torch.empty_like(layer.g).exponential_(1 / mean))
    return module


@checked
@torch.no_grad()
def twin_(module: M) -> M:
    """Start each layer's inhibitory units as copies of its excitatory ones.

    The next layer then receives the same activity from both kinds, so that its E and I start from the same input.
    Units of which there are more than of the other kind keep their own conductances.
    """
    for layer in _layers_to_set(module):
        layer.set_conductance(start.with_twins(layer.conductance, layer.unit_valence))
    return module


@checked
@torch.no_grad()
def balance_sums_(module: M) -> M:
    r"""Scale each unit's inhibitory conductances so that :math:`\sum_j G_{ij} e_j = 0`: balance without any data.

    A unit without excitation or without inhibition is left as it is. `balance_` does it on the activity of a batch.
    """
    for layer in _layers_to_set(module):
        layer.set_conductance(start.with_balanced_sums(layer.conductance, layer.presynaptic))
    return module


@checked
def scale_leak_(model: M, batch: Any, share: float) -> M:
    """Make each unit's resting conductance ``share`` of the mean synaptic conductance that it sees on one batch.

    The same G_r weighs much in a layer of few synapses, and nothing in one of thousands; a share weighs the same in
    all. Resting potentials stay, and so does the leak of a unit that receives nothing.

    Args:
        model: a layer or a model.
        batch: open probabilities in [0, 1], as the model takes them.
        share: > 0.

    Raises:
        InputError: share not positive.
    """
    _check_leak_share(share)
    refuse_sharded(model)
    visit(model, batch, lambda _, layer, p: _scale_leak(layer, p, share))
    return model


def _check_leak_share(share: float) -> None:
    if not 0 < share < inf:
        raise InputError(f"share={share}: the leak's share of the synaptic conductance must be positive and finite")


def _scale_leak(layer: ConductanceLayer, p: Tensor, share: float) -> None:
    no_leak = torch.zeros_like(layer.leak())
    E, I = functional.excitation_inhibition(p, layer.conductance, layer.presynaptic, no_leak, layer.synaptic_sum)
    synaptic = _mean_of_units(E + I, layer.g.ndim)
    layer.leak.set_conductance(torch.where(synaptic > 0, share * synaptic, layer.leak.conductance))


@checked
def balance_(model: M, batch: Any, *, layers: Collection[ConductanceLayer] | None = None) -> M:
    """Scale each unit's inhibitory conductances so that, on one batch, its mean E equals its mean I.

    One pass: each layer is balanced on the activity that the balanced layers before it produce. The leak stays out of
    it. With graded valences, synapses of negative valence are scaled until the mean of sum_j G_ij e_j p_j is 0. A
    unit that receives no inhibition, or no excitation, is left as it is. A layer that runs several times, in the time
    slices of a circuit or in several places, is balanced on the mean of what it has received, over the times at which
    any inhibition arrived. Conductances that are constant are balanced by the others.

    Args:
        model: a layer or a model.
        batch: open probabilities in [0, 1], as the model takes them; some hundred samples are enough.
        layers: those of the model to balance; all by default.
    """
    refuse_sharded(model)
    received: dict[ConductanceLayer, tuple[Tensor, int]] = {}

    def look(_: str, layer: ConductanceLayer, p: Tensor) -> None:
        if layers is not None and layer not in layers:
            return
        samples = p if p.ndim == layer.g.ndim else p.reshape(-1, *p.shape[layer.channel_axis :])
        here = samples.mean(0, keepdim=True)
        if not bool((_excess_and_deficit(layer, here)[1] > 0).any()):
            return  # without inhibition there is nothing to scale
        mean, times = received.get(layer, (here, 0))
        if mean.shape != here.shape:  # of images of another size there is no common mean
            mean, times = here, 0
        mean = mean + (here - mean) / (times + 1)
        received[layer] = mean, times + 1
        excess, deficit = _excess_and_deficit(layer, mean)
        _scale_inhibition(layer, torch.where((excess > 0) & (deficit > 0), excess / deficit, 1.0))

    visit(model, batch, look)
    return model


def _scaled_by_balance(layer: ConductanceLayer) -> Tensor:
    """The synapses that inhibit and are not constant, of the shape of the conductances."""
    G, constant = layer.conductance, layer.constant_synapses
    inhibitory = (layer.presynaptic.per_synapse(G) < 0).expand_as(G)
    return inhibitory if constant is None else inhibitory & ~constant


def _excess_and_deficit(layer: ConductanceLayer, p: Tensor) -> tuple[Tensor, Tensor]:
    """How much the other synapses drive each unit upwards, and those that balance scales downwards, (out,)."""
    G, scaled = layer.conductance, _scaled_by_balance(layer)
    return _mean_drive(layer, p, torch.where(scaled, 0.0, G)), -_mean_drive(layer, p, torch.where(scaled, G, 0.0))


def _scale_inhibition(layer: ConductanceLayer, factor: Tensor) -> None:
    G = layer.conductance
    factor = factor.view(-1, *(1,) * (G.ndim - 1))
    layer.set_conductance(torch.where(_scaled_by_balance(layer), G * factor, G))


def _mean_drive(layer: ConductanceLayer, p: Tensor, G: Tensor) -> Tensor:
    """Mean over samples and positions of sum_j G_ij e_j p_j, for each unit: (out,)."""
    no_leak = torch.zeros_like(layer.leak())
    E, I = functional.excitation_inhibition(p, G, layer.presynaptic, no_leak, layer.synaptic_sum)
    return _mean_of_units(E - I, G.ndim)


def _mean_of_units(values: Tensor, axes: int) -> Tensor:
    """Mean over samples and positions, (out,); the units lie ``axes - 1`` axes from the end."""
    return values.movedim(1 - axes, 0).flatten(1).mean(1)
