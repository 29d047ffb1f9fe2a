"""What a network's synapses receive while it trains: the mean activity of each presynaptic channel."""

import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from conductance.eager import in_torch_func
from conductance.optim.synapses import Synapses
from conductance.sharded import whole


class PresynapticRule:
    """A rule that acts before or after each step of an optimizer, on what each layer's synapses have received since.

    Args:
        layers: they are watched while they are in training mode.
        register: the optimizer's ``register_step_pre_hook`` or ``register_step_post_hook``.
    """

    def __init__(self, layers: Iterable[Synapses], register: Callable[..., RemovableHandle]) -> None:
        self._means = PresynapticMeans(layers)
        self._handle = register(self._at_step)

    def remove(self) -> None:
        """Stop acting, and stop watching the model."""
        self._means.remove()
        self._handle.remove()

    def _at_step(self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        del optimizer, args, kwargs
        self.step()

    @torch.no_grad()
    def step(self) -> None:
        """Act on every layer that learns; the mean of a layer that has received nothing is 0."""
        for synapses, p in self._means.take():
            if synapses.parameter.requires_grad:
                self._act(synapses, p)

    def _act(self, synapses: Synapses, p: Tensor) -> None:
        raise NotImplementedError


class PresynapticMeans:
    """The mean input of each channel, over all samples (and positions, and processes) since it was last taken.

    In convolutions the zeros of the padding are not counted.

    Args:
        layers: their input is watched while they are in training mode and outside the transforms of ``torch.func``.
    """

    def __init__(self, layers: Iterable[Synapses]) -> None:
        layers = list(layers)
        self._layers = {synapses.layer: synapses for synapses in layers}
        self._axes = {synapses.layer: synapses.parameter.ndim for synapses in layers}
        # for each layer the sum over samples of each channel, and as the last entry the number of samples; the tensor
        # stays the same, so that a compiled network can add to it
        self._totals = {layer: _no_input(synapses) for layer, synapses in self._layers.items()}
        self._handles = [layer.register_forward_pre_hook(self._watch, with_kwargs=True) for layer in self._layers]
        self._checked = False

    def remove(self) -> None:
        """Stop watching."""
        for handle in self._handles:
            handle.remove()

    def _watch(self, layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if layer.training and layer in self._layers and not in_torch_func():  # not a replica of the layer
            p = (args[0] if args else next(iter(kwargs.values()))).detach()
            total = self._totals[layer]
            if total.device != p.device:
                total = self._totals[layer] = total.to(p.device)
            channels = p.ndim + 1 - self._axes[layer]
            axes = [axis for axis in range(p.ndim) if axis != channels]
            total[:-1] += p.sum(axes, dtype=total.dtype) if axes else p
            total[-1] += p.numel() // p.shape[channels]

    _watch.while_training = True  # type: ignore[attr-defined]  # a frozen copy does not need it

    def take(self) -> Iterator[tuple[Synapses, Tensor]]:
        """Each layer with its means, (out or 1, fan-in channels, 1, ...) as its units' synapses see them.

        The means are then forgotten. All processes take all layers in the same order, even those that have received
        nothing.
        """
        self._check_that_something_came()
        for layer, synapses in self._layers.items():
            total = self._totals[layer] = self._totals[layer].to(synapses.parameter.device)
            if dist.is_available() and dist.is_initialized():  # or the processes' weights would differ
                dist.all_reduce(total)
            mean = total[:-1] / total[-1].clamp(min=1)
            total.zero_()
            yield synapses, _at_synapses(mean.to(synapses.parameter.dtype), synapses)

    def _check_that_something_came(self) -> None:
        if self._checked or not any(
            layer.training and _has_gradient(synapses) for layer, synapses in self._layers.items()
        ):
            return
        self._checked = True
        if not any(bool(total[-1] > 0) for total in self._totals.values()):
            warnings.warn(
                "no layer was seen to receive anything before this step, so their mean inputs are unknown. Was the "
                "model compiled and run before its optimizer was made? Make the optimizer first: a compiled model "
                "calls only the hooks that it had when it was compiled",
                stacklevel=2,
            )


def _has_gradient(synapses: Synapses) -> bool:
    """Whether some gradient is not 0: before it loads a state, torch.distributed.checkpoint takes a step with zeros."""
    gradient = synapses.parameter.grad
    return gradient is not None and bool(whole(gradient).any())


def _no_input(synapses: Synapses) -> Tensor:
    parameter, layer = synapses.parameter, synapses.layer
    copies = 2 if getattr(layer, "doubled_input", False) else 1
    channels = parameter.shape[1] * getattr(layer, "groups", 1) // copies
    return torch.zeros(channels + 1, dtype=torch.promote_types(parameter.dtype, torch.float32), device=parameter.device)


def _at_synapses(p: Tensor, synapses: Synapses) -> Tensor:
    groups = getattr(synapses.layer, "groups", 1)
    per_group = p.view(groups, -1)
    units, channels, *kernel = synapses.parameter.shape
    if per_group.shape[1] < channels:  # the paper's doubled input
        per_group = torch.cat([per_group, per_group], 1)
    per_unit = per_group.repeat_interleave(units // groups, 0) if groups > 1 else per_group
    return per_unit.view(*per_unit.shape, *(1,) * len(kernel))
