"""Each layer of a chain in plain values, as the page reads it.

Everything is a convolution there: a linear layer is one whose kernel covers all that it reads. Arrays of synapses have
the shape (channels, height and width of the kernel, units), so that the synapses of one input onto all units lie side
by side.
"""

from typing import Any

import torch
from torch import Tensor, nn

from conductance.errors import InputError
from conductance.live.arrays import packed
from conductance.nn import AveragingLayer, ConductanceLayer, CWAConv2d, CWALinear, Gate

Plain = dict[str, Any]
Shape = tuple[int, ...]

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
_POOLS = (nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)


def average(name: str, layer: nn.Module, reads: Shape, gives: Shape, nanosiemens: float) -> Plain:
    """A layer of conductances.

    Args:
        name: in the network.
        layer: the module.
        reads: (channels, height, width) of what it reads, or (features,).
        gives: likewise of what it returns.
        nanosiemens: what a conductance of 1 stands for.

    Raises:
        InputError: units of another kind.
    """
    if type(layer) not in (CWALinear, CWAConv2d) or not isinstance(layer, ConductanceLayer) or not layer.average:
        raise InputError(
            f"layer {name} is {type(layer).__name__}, which a live page cannot show: its hidden layers must be "
            "CWALinear or CWAConv2d with an average of their own"
        )
    copies = 2 if layer.doubled_input else 1
    G = layer.conductance.detach()
    e = layer.valence.detach().view(copies, -1)
    synapses = []
    for number, part in enumerate(G.chunk(copies, 1)):
        kernel, place = _kernel(layer, part, reads)
        synapses.append({"G": packed(kernel), "e": packed(_per_tap(e[number], kernel))})
    return {
        "kind": "average",
        "name": name,
        **_sizes(reads, gives, kernel),
        **place,
        "synapses": synapses,
        "leak": packed(layer.leak().detach()),
        "gate": _gate(layer),
        "pooled": layer.pooled_interneuron,
        "valence": None if layer.unit_valence is None else packed(layer.unit_valence.detach()),
        "nanosiemens": nanosiemens,
    }


def _gate(layer: AveragingLayer) -> Plain:
    """p = min(max((z - threshold) / width, 0), 1) of each unit."""
    threshold, width = torch.zeros(layer.out_channels), torch.ones(layer.out_channels)
    if isinstance(layer.gate, Gate):
        threshold, width = layer.gate.threshold.detach(), layer.gate.width.detach()
    elif layer.gate is not None:  # p = (1 + z) / 2
        threshold, width = threshold - 1, 2 * width
    return {"threshold": packed(threshold), "width": packed(width), "rectifies": layer.activation is not None}


def affine(name: str, layer: nn.Module, norm: nn.Module | None, reads: Shape, gives: Shape, rectifies: bool) -> Plain:
    """An affine layer, with the BatchNorm behind it as a scale and a shift of its sums.

    Raises:
        InputError: a layer of another kind.
    """
    if type(layer) not in (nn.Linear, nn.Conv2d):
        raise InputError(f"layer {name} is {type(layer).__name__}, which a live page cannot show beside conductances")
    assert isinstance(layer, nn.Linear | nn.Conv2d)
    kernel, place = _kernel(layer, layer.weight.detach(), reads)
    units = len(layer.weight)
    scale = torch.ones(units, dtype=torch.float64)
    shift = torch.zeros(units, dtype=torch.float64) if layer.bias is None else layer.bias.detach().double()
    if norm is not None:
        scale, shift = _followed(norm, name, scale, shift)
    return {
        "kind": "affine",
        "name": name,
        **_sizes(reads, gives, kernel),
        **place,
        "weight": packed(kernel),
        "scale": packed(scale.float()),
        "shift": packed(shift.float()),
        "rectifies": rectifies,
    }


def _followed(norm: nn.Module, name: str, scale: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    if not isinstance(norm, _NORMS) or norm.running_mean is None or norm.running_var is None:
        raise InputError(f"the {type(norm).__name__} after {name} keeps no statistics, so nothing stands for it")
    factor = (norm.running_var.double() + norm.eps).rsqrt()
    if norm.weight is not None:
        factor = factor * norm.weight.detach().double()
    shift = (shift - norm.running_mean.double()) * factor
    return scale * factor, shift if norm.bias is None else shift + norm.bias.detach().double()


def pool(name: str, layer: nn.Module, reads: Shape, gives: Shape) -> Plain:
    """A pooling layer.

    Raises:
        InputError: one that a page does not have.
    """
    if isinstance(layer, nn.AdaptiveAvgPool2d | nn.AdaptiveMaxPool2d):
        if any(size % out for size, out in zip(reads[1:], gives[1:], strict=True)):
            raise InputError(f"layer {name} pools windows of several sizes, which a live page cannot show")
        window = stride = tuple(size // out for size, out in zip(reads[1:], gives[1:], strict=True))
        padding: Shape = (0, 0)
    else:
        assert isinstance(layer, nn.MaxPool2d | nn.AvgPool2d)
        window, stride, padding = (_pair(size) for size in (layer.kernel_size, layer.stride, layer.padding))
        plain = not layer.ceil_mode and getattr(layer, "dilation", 1) == 1
        counts = getattr(layer, "count_include_pad", True) and getattr(layer, "divisor_override", None) is None
        if not plain or not counts or getattr(layer, "return_indices", False):
            raise InputError(f"layer {name}: {layer} has options that a live page does not know; leave them out")
    how = "max" if isinstance(layer, nn.MaxPool2d | nn.AdaptiveMaxPool2d) else "mean"
    return {
        "kind": "pool",
        "name": name,
        "how": how,
        "reads": _image(reads),
        "gives": _image(gives),
        "kernel": window,
        "stride": stride,
        "padding": padding,
    }


def is_norm(module: nn.Module) -> bool:
    """Whether it is a BatchNorm that an affine layer takes in."""
    return type(module) in _NORMS


def is_pool(module: nn.Module) -> bool:
    """Whether it pools."""
    return type(module) in _POOLS


# Kernels --------------------------------------------------------------------------------------------------------------


def _kernel(layer: nn.Module, values: Tensor, reads: Shape) -> tuple[Tensor, Plain]:
    """Synapses (channels, height, width, units) of a dense kernel without gaps, and where it is put."""
    if values.ndim == 2:  # a kernel that covers all that the layer reads
        values = values.view(len(values), *_image(reads))
        return values.permute(1, 2, 3, 0), {"stride": (1, 1), "padding": (0, 0)}
    options: Plain = getattr(layer, "convolution", None) or {
        name: getattr(layer, name) for name in ("stride", "padding", "dilation", "groups")
    }
    values = _without_gaps(_without_groups(values, options["groups"]), options["dilation"])
    padding = options["padding"]
    if padding == "same":  # torch puts what is over at the end
        padding = tuple((size - 1) // 2 for size in values.shape[2:])
    elif padding == "valid":
        padding = (0, 0)
    return values.permute(1, 2, 3, 0), {"stride": tuple(options["stride"]), "padding": tuple(padding)}


def _without_groups(values: Tensor, groups: int) -> Tensor:
    """The same synapses, and none (0) from the channels of other groups."""
    if groups == 1:
        return values
    units, fan_in = values.shape[:2]
    dense = values.new_zeros(units, groups * fan_in, *values.shape[2:])
    for group, part in enumerate(values.chunk(groups)):
        first = group * units // groups
        dense[first : first + len(part), group * fan_in : (group + 1) * fan_in] = part
    return dense


def _without_gaps(values: Tensor, dilation: Shape) -> Tensor:
    if tuple(dilation) == (1, 1):
        return values
    sizes = [(size - 1) * step + 1 for size, step in zip(values.shape[2:], dilation, strict=True)]
    dense = values.new_zeros(*values.shape[:2], *sizes)
    dense[:, :, :: dilation[0], :: dilation[1]] = values
    return dense


def _per_tap(valence: Tensor, kernel: Tensor) -> Tensor:
    """The valence of each input of a kernel, (channels, height, width): of its channel, or of a linear layer's own."""
    taps = kernel[..., 0]
    return valence.view(taps.shape) if len(valence) == taps.numel() else valence.view(-1, 1, 1).expand_as(taps)


def _sizes(reads: Shape, gives: Shape, kernel: Tensor) -> Plain:
    return {"reads": _image(reads), "gives": _image(gives), "kernel": tuple(kernel.shape[1:3])}


def _image(shape: Shape) -> tuple[int, int, int]:
    """Channels, height and width; features are channels at one place."""
    if len(shape) == 1:
        return (shape[0], 1, 1)
    if len(shape) != 3:
        raise InputError(f"a layer reads or gives the shape {shape}, and a live page shows images and features alone")
    return (shape[0], shape[1], shape[2])


def _pair(value: int | tuple[int, ...]) -> tuple[int, ...]:
    return (value, value) if isinstance(value, int) else tuple(value)
