"""What a network's synapses receive while it trains: the mean activity of each presynaptic channel."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from conductance.optim.groups import Synapses


class PresynapticRule:
    """Something that acts around an optimiser's steps, on what the synapses of each layer received since the last one.

    Args:
        layers: watched while they are in training mode.
        register: the optimiser's ``register_step_pre_hook`` or ``register_step_post_hook``.
    """

    def __init__(self, layers: Iterable[Synapses], register: Callable[..., RemovableHandle]) -> None:
        self._means = PresynapticMeans(layers)
        self._handle = register(lambda *_: self.step())

    def remove(self) -> None:
        """Let go of optimiser and model."""
        self._means.remove()
        self._handle.remove()

    @torch.no_grad()
    def step(self) -> None:
        """Act on every layer that received something."""
        for synapses, p in self._means.take():
            self._act(synapses, p)

    def _act(self, synapses: Synapses, p: Tensor) -> None:
        raise NotImplementedError


class PresynapticMeans:
    """The mean input of each channel, over all batches (and positions, and processes) since it was last taken.

    In convolutions the zeros of the padding are not counted.

    Args:
        layers: whose input is watched, while they are in training mode.
    """

    def __init__(self, layers: Iterable[Synapses]) -> None:
        self._layers = {synapses.layer: synapses for synapses in layers}
        self._received: dict[nn.Module, list[Tensor]] = {}
        self._handles = [layer.register_forward_pre_hook(self._watch) for layer in self._layers]

    def remove(self) -> None:
        """Watch no longer."""
        for handle in self._handles:
            handle.remove()

    def _watch(self, layer: nn.Module, inputs: tuple[Any, ...]) -> None:
        if layer.training:
            parameter, p = self._layers[layer].parameter, inputs[0].detach()
            channels = p.ndim + 1 - parameter.ndim
            axes = [axis for axis in range(p.ndim) if axis != channels]
            mean = p.mean(axes, dtype=parameter.dtype) if axes else p.to(parameter.dtype)
            self._received.setdefault(layer, []).append(mean)

    def take(self) -> Iterator[tuple[Synapses, Tensor]]:
        """Each layer that received something, with the means (out or 1, fan-in channels, 1, ...) as its units' synapses
        see them; then forget them."""
        received, self._received = self._received, {}
        for layer, batches in received.items():
            mean = torch.stack(batches).mean(0)
            if dist.is_available() and dist.is_initialized():  # or the processes' weights would part
                dist.all_reduce(mean)
                mean /= dist.get_world_size()
            yield self._layers[layer], _at_synapses(mean, self._layers[layer])


def _at_synapses(p: Tensor, synapses: Synapses) -> Tensor:
    groups = getattr(synapses.layer, "groups", 1)
    per_group = p.view(groups, -1)
    units, channels, *kernel = synapses.parameter.shape
    if per_group.shape[1] < channels:  # the paper's doubled input
        per_group = torch.cat([per_group, per_group], 1)
    per_unit = per_group.repeat_interleave(units // groups, 0) if groups > 1 else per_group
    return per_unit.view(*per_unit.shape, *(1,) * len(kernel))
