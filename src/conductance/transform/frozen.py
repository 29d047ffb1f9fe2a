"""Layers that no longer learn: what `freeze` puts in place of others."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import Proxy
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_linear_bn_eval

from conductance import functional, kernels
from conductance.checked import checked
from conductance.errors import InputError
from conductance.nn import AveragingLayer, ConductanceLayer
from conductance.nn.tracing import record_call
from conductance.nn.weight import read_weight
from conductance.valence import Valence


class FrozenAverage(nn.Module):
    """An averaging layer whose conductances no longer change; made by `freeze`.

    Inputs and outputs are those of the layer that it was made from.

    Attributes:
        packed: G >= 0 as `kernels.pack` gives it.
        leak: the leak's excitatory and inhibitory conductance, (2, units).
        scale: that of a BatchNorm that followed, (units, 1, ...), or None.
        shift: likewise.
        in_channels, out_channels: numbers of presynaptic channels and of units.
        groups: of the convolution; 1 for a linear layer.
    """

    packed: Tensor
    leak: Tensor
    scale: Tensor | None
    shift: Tensor | None

    @checked
    def __init__(self, layer: AveragingLayer) -> None:
        super().__init__()
        self.description = layer.extra_repr()
        self.presynaptic = layer.presynaptic if isinstance(layer, ConductanceLayer) else None
        self.in_channels, self.out_channels, self.groups = layer.in_channels, layer.out_channels, layer.groups
        self.synaptic_sum = layer.synaptic_sum
        self.channel_axis = layer.channel_axis
        self.rectify = layer.activation == "relu"
        self.averages = layer.average
        self.pooled_interneuron = layer.pooled_interneuron
        self.register_buffer("packed", layer.packed().detach().clone(memory_format=torch.preserve_format))
        self.register_buffer("leak", layer.leak().detach().clone())
        self.register_buffer("scale", None)
        self.register_buffer("shift", None)

    @property
    def conductance(self) -> Tensor:
        """G as the layer had it, ``(out, fan-in, *kernel)``, or the signed weights of AbsNorm.

        Raises:
            InputError: a doubled input has valences other than +1 and -1, whose conductances were added up.
        """
        if self.presynaptic is None:
            positive, negative = self.packed.chunk(2)
            return positive - negative
        return _unpack(self.packed, self.presynaptic, self.out_channels)

    @property
    def weight(self) -> Tensor:
        """`conductance`, by the name that code for torch's own layers asks for; see `ReadWeight`.

        The signed weights of AbsNorm are an ordinary tensor, as the layer has them.
        """
        return self.conductance if self.presynaptic is None else read_weight(self.conductance)

    @property
    def bias(self) -> None:
        """None: the leak stands in its place."""
        return

    @property
    def in_features(self) -> int:
        """Number of presynaptic channels, as a linear layer calls it."""
        return self.in_channels

    @property
    def out_features(self) -> int:
        """Number of units, as a linear layer calls it."""
        return self.out_channels

    def open_conductances(self, p: Tensor, extra_conductances: Tensor | None = None) -> kernels.Sums:
        """What the units average: E' of all units, then I', along the channels, with all that joins them."""
        own = kernels.open_conductances(p, self.packed, self.presynaptic, self.leak, self.synaptic_sum)
        return own if extra_conductances is None else kernels.dense(own, self.channel_axis) + extra_conductances

    def excitation_inhibition(self, p: Tensor, extra_conductances: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """E' and I', the excitatory and inhibitory conductance open at each unit, ``(..., out, *positions)``.

        That of a pooled interneuron is among them.
        """
        both = kernels.dense(self.open_conductances(p, extra_conductances), self.channel_axis)
        if self.pooled_interneuron:
            both = both + functional.pooled_conductances(both, self.channel_axis)
        E, I = both.chunk(2, self.channel_axis)
        return E, I

    def forward(self, p: Tensor, extra_conductances: Tensor | None = None, *, shortcut: Tensor | None = None) -> Tensor:
        """Open probabilities in [0, 1] to membrane potentials z in [-1, 1], or to open probabilities p."""
        if isinstance(p, Proxy):
            return record_call(self, p, extra_conductances)
        if self.scale is not None and self.channel_axis == -1:
            _require_vectors(p)
        both = self.open_conductances(p, extra_conductances)
        if shortcut is not None:
            return kernels.joined_average(both, shortcut, self.channel_axis, kernels.low_precision(p, self.leak))
        return self.respond(both, p) if self.averages else kernels.dense(both, self.channel_axis)

    @property
    def takes_shortcut(self) -> bool:
        """Whether its units give z by one average and nothing else, so that a shortcut can join them."""
        return self.averages and not (self.rectify or self.pooled_interneuron or self.scale is not None)

    def respond(self, both: kernels.Sums, p: Tensor) -> Tensor:
        """From E' of all units, then I', to what the layer returns, in the precision in which the input came."""
        dtype = kernels.low_precision(p, self.leak)
        average = kernels.pooled_average if self.pooled_interneuron else kernels.average
        if self.scale is None or self.shift is None:
            return average(both, self.channel_axis, self.rectify, dtype)
        z = average(both, self.channel_axis, False, dtype)
        normed = torch.addcmul(self.shift.to(z.dtype), z, self.scale.to(z.dtype))
        return normed.relu_() if self.rectify else normed

    def may_be_followed_by(self, norm: _BatchNorm) -> bool:
        """Whether it returns one z for each of the features that ``norm`` normalizes, with nothing in between."""
        alone = self.averages and self.scale is None and not self.rectify
        return alone and norm.num_features == self.out_channels

    def follow_by(self, norm: _BatchNorm) -> None:
        """Take in a BatchNorm that comes after z."""
        assert norm.running_mean is not None
        assert norm.running_var is not None
        scale = torch.rsqrt(norm.running_var + norm.eps)
        if norm.affine:
            scale = scale * norm.weight.detach()
        shift = -norm.running_mean * scale
        if norm.affine:
            shift = shift + norm.bias.detach()
        shape = (-1, *(1,) * (-1 - self.channel_axis))
        self.scale, self.shift = scale.view(shape), shift.view(shape)

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *others: Any) -> None:
        former = f"{prefix}conductance"  # its name in 0.1
        if former in state_dict:
            state_dict = {f"{prefix}packed" if key == former else key: value for key, value in state_dict.items()}
        super()._load_from_state_dict(state_dict, prefix, *others)

    def extra_repr(self) -> str:
        """That of the layer it was made from, and what has been folded into it."""
        folded = ", BatchNorm folded" if self.scale is not None else ""
        return f"{self.description}{folded}{', rectified' if self.rectify else ''}"


def _unpack(packed: Tensor, valence: Valence, units: int) -> Tensor:
    """The conductances that `kernels.pack` has put in order."""
    stacked = len(packed) > units
    if valence.doubled_input:
        if not valence.is_default_pair:
            raise InputError(
                "the two copies of a doubled input with valences of its own are one conductance in a frozen layer; "
                "read conductances from the layer before it is frozen"
            )
        return torch.cat(packed.chunk(2), 1) if stacked else packed
    if not valence.class_values:
        excitatory, inhibitory = packed.chunk(2)
        return excitatory + inhibitory
    sorted_by_class = torch.cat(packed.chunk(2), 1) if stacked else packed
    order = valence.fan_in_order
    if order is None:
        return sorted_by_class
    return sorted_by_class.index_select(1, order.to(packed.device).argsort())


class NormalizedLinear(nn.Linear):
    """A linear layer with a BatchNorm folded into it."""

    def __init__(self, linear: nn.Linear, norm: _BatchNorm) -> None:
        super().__init__(linear.in_features, linear.out_features, device="meta")  # draws no random numbers
        folded = fuse_linear_bn_eval(linear, norm)
        self.weight, self.bias = folded.weight, folded.bias
        self.eval()

    def forward(self, input: Tensor) -> Tensor:
        """(N, in_features) to (N, out_features)."""
        if isinstance(input, Proxy):
            return record_call(self, input)
        _require_vectors(input)
        return super().forward(input)


def _require_vectors(p: Tensor) -> None:
    if p.ndim != 2:
        raise InputError(
            f"a BatchNorm is folded into this layer, which takes (N, features) and was given {tuple(p.shape)}; flatten "
            "the leading axes: of (N, L, features) a BatchNorm would normalize L"
        )
