"""Layers of signed synapses."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from conductance import kernels
from conductance.nn.base import AveragingLayer, check_sizes, require_room


class SignedLayer(AveragingLayer):
    """Signed synapses, normalized by their total size (AbsNorm, paper section 4.4).

    The base of `AbsNormLinear` and `AbsNormConv2d`, which say what the arguments are.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: tuple[int, ...],
        convolution: Mapping[str, Any],
        **membrane: Any,
    ) -> None:
        groups = check_sizes(in_channels, out_channels, convolution)
        field = math.prod(kernel_size)
        fan_in, fan_out = in_channels // groups * field, out_channels * field
        mean_size = math.sqrt(6 / (fan_in + fan_out)) / 2  # of Glorot-uniform weights
        shape = (out_channels, in_channels // groups, *kernel_size)
        require_room(type(self).__name__, shape, in_channels, membrane.get("device"), membrane.get("dtype"))
        super().__init__(in_channels, out_channels, convolution, typical_total=fan_in * mean_size, **membrane)
        self.weight = nn.Parameter(torch.empty(shape, device=membrane.get("device"), dtype=membrane.get("dtype")))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Glorot-uniform, as the paper's affine networks, and the leak as it was given."""
        self.leak.reset_parameters()
        if self.gate is not None:
            self.gate.reset_parameters()
        nn.init.xavier_uniform_(self.weight)

    def packed(self) -> Tensor:
        """The positive parts of the weights, then the negative ones."""
        return kernels.pack_signed(self.weight)

    def description(self) -> dict[str, Any]:
        """What the parameters mean: signed weights, kind of leak."""
        return {**super().description(), "layer": "signed"}
