"""Convolutions in one, two and three dimensions."""

from typing import ClassVar, Unpack

from torch import nn

from conductance.errors import InputError
from conductance.nn.base import ConductanceLayer, ConductanceOptions, SignedLayer


def _per_axis(name: str, value: int | tuple[int, ...], axes: int) -> tuple[int, ...]:
    """One number for every axis, or one each."""
    values = (value,) * axes if isinstance(value, int) else tuple(value)
    if len(values) != axes:
        raise InputError(f"{name}={value} has {len(values)} values; give one number, or one for each of {axes} axes")
    return values


class _Convolution(nn.Module):
    """The arguments that torch's convolutions take, in torch's order, on top of an averaging layer's own."""

    axes: ClassVar[int]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, ...],
        stride: int | tuple[int, ...] = 1,
        padding: str | int | tuple[int, ...] = 0,
        dilation: int | tuple[int, ...] = 1,
        groups: int = 1,
        **options: Unpack[ConductanceOptions],
    ) -> None:
        convolution = {
            "stride": _per_axis("stride", stride, self.axes),
            "padding": padding if isinstance(padding, str) else _per_axis("padding", padding, self.axes),
            "dilation": _per_axis("dilation", dilation, self.axes),
            "groups": groups,
        }
        kernel_size = _per_axis("kernel_size", kernel_size, self.axes)
        super().__init__(in_channels, out_channels, kernel_size, convolution, **options)


class CWAConv1d(_Convolution, ConductanceLayer):
    """Conductance-weighted average over a window of a sequence; arguments as for `CWAConv2d`."""

    axes = 1


class CWAConv2d(_Convolution, ConductanceLayer):
    r"""Conductance-weighted average over a receptive field, in place of ``torch.nn.Conv2d`` (paper eq. 6).

    .. math:: z = \frac{G_r e_r + (G \otimes e) \star p}{G_r + G \star p}

    Input (N, in_channels, H, W) or (in_channels, H, W) in [0, 1]; output (N, out_channels, H', W'), z in [-1, 1] or
    p in [0, 1]. Padding adds closed synapses (p = 0).

    Args:
        in_channels: number of presynaptic channels.
        out_channels: number of units at each position.
        kernel_size: size of the receptive field.
        stride: as in torch.
        padding: as in torch, "same" and "valid" included.
        dilation: as in torch.
        groups: as in torch; half of each group's channels are excitatory unless ``valence`` says otherwise.
        valence, doubled_input, nonnegative, resting_conductance, resting_potential, learn_resting, activation,
            learn_gate, detached_denominator, device, dtype: as for `CWALinear`, by keyword.

    Raises:
        InputError: a valence, resting term or size outside its range.
    """

    axes = 2


class CWAConv3d(_Convolution, ConductanceLayer):
    """Conductance-weighted average over a receptive field of a volume; arguments as for `CWAConv2d`."""

    axes = 3


class AbsNormConv2d(_Convolution, SignedLayer):
    r"""Signed kernels, divided by their total size (AbsNorm, paper section 4.4).

    .. math:: z = \frac{G_r e_r + W \star p}{G_r + |W| \star p}

    Shapes and arguments as for `CWAConv2d`, without valence, doubled input and ``nonnegative``.
    """

    axes = 2
