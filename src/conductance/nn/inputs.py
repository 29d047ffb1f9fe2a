"""Layers that read values of any range: what they are given becomes open probabilities in [0, 1]."""

from typing import Any

import torch
from torch import Tensor, nn

from conductance.checked import checked
from conductance.errors import InputError
from conductance.nn.conductance import ConductanceLayer

# What code for torch's own layers asks of one, and the layer inside answers.
_OF_THE_LAYER = ("weight", "bias", "conductance", "out_features", "out_channels", "groups")
_NUMBER_OF_INPUTS = ("in_features", "in_channels")


class ScaledInput(nn.Module):
    r"""A layer that reads values from 0 to a scale s > 0.

    .. math:: p_j = \min(\max(x_j / s, 0), 1)

    A sum of k open probabilities with s = k is so read by its mean. Input and output have the shapes of the layer's.

    Args:
        layer: what reads p.
        scale: s.
        grows: whether s is the largest size seen so far, and grows with what is seen in training mode. In evaluation
            mode it stays, and larger values count as s.

    Raises:
        InputError: a scale that is not positive and finite.
    """

    scale: Tensor
    copies = 1  # how many channels of the layer stand for one of the input

    @checked
    def __init__(self, layer: ConductanceLayer, scale: float = 1.0, *, grows: bool = False) -> None:
        super().__init__()
        if not 0 < scale < float("inf"):
            raise InputError(f"scale={scale}: must be positive and finite, the largest size that the input has")
        self.layer = layer
        self.grows = grows
        self.register_buffer("scale", torch.tensor(scale, dtype=layer.leak.pair.dtype, device=layer.leak.pair.device))

    def open_probabilities(self, x: Tensor) -> Tensor:
        """What the layer reads, in [0, 1]."""
        return self._scaled(x).clamp(0, 1)

    def _scaled(self, x: Tensor) -> Tensor:
        # The backward pass needs the scale as it was, also if the layer runs again before that.
        return x / self.scale.to(x.dtype, copy=self.grows and self.training)

    def forward(self, x: Tensor) -> Tensor:
        """The layer's output for values from 0 to s."""
        if self.grows and self.training:
            with torch.no_grad():  # NaN leaves the scale as it is
                self.scale.copy_(torch.fmax(self.scale, x.detach().abs().amax()))
        output: Tensor = self.layer(self.open_probabilities(x))
        return output

    def __getattr__(self, name: str) -> Any:
        if name in _OF_THE_LAYER:
            return getattr(self.layer, name)
        if name in _NUMBER_OF_INPUTS:
            return getattr(self.layer, name) // self.copies
        return super().__getattr__(name)

    def extra_repr(self) -> str:
        """The scale."""
        return f"scale={float(self.scale):.4g}" + (", grows=True" if self.grows else "")


class SignedInput(ScaledInput):
    r"""A layer that reads values from -s to s, each as two open probabilities.

    .. math:: p_j^+ = \min(\max(x_j / s, 0), 1), \qquad p_j^- = \min(\max(-x_j / s, 0), 1)

    At most one of the two is open. Where the layer doubles its input, either may excite or inhibit; where it has
    valences of +1 for the positive parts and -1 for the negative ones, x excites by its positive part and inhibits by
    the size of its negative part.

    Args:
        layer: what reads p, with twice as many channels as the input; in each group the positive parts come first.
        scale: s > 0.
        grows: as for `ScaledInput`.
    """

    copies = 2

    def open_probabilities(self, x: Tensor) -> Tensor:
        """The positive parts, then the sizes of the negative ones, in each group of channels; in [0, 1]."""
        axis, groups = self.layer.channel_axis, self.layer.groups
        x = self._scaled(x)
        if groups == 1:
            return torch.cat([x, -x], axis).clamp(0, 1)
        grouped = x.unflatten(axis, (groups, -1))
        return torch.cat([grouped, -grouped], axis).clamp(0, 1).flatten(axis - 1, axis)
