"""Convolutions in one, two and three dimensions."""

from typing import Any, ClassVar

import torch
from torch import Tensor

from conductance.checked import checked
from conductance.errors import InputError
from conductance.functional import Activation
from conductance.nn.base import refuse_bias
from conductance.nn.conductance import ConductanceLayer
from conductance.nn.signed import SignedLayer
from conductance.nonnegative import NonnegativeForm
from conductance.valence import Valences


def _per_axis(name: str, value: int | tuple[int, ...], axes: int, least: int = 1) -> tuple[int, ...]:
    """One number for every axis, or one each."""
    values = (value,) * axes if isinstance(value, int) else tuple(value)
    if len(values) != axes:
        raise InputError(f"{name}={value} has {len(values)} values; give one number, or one for each of {axes} axes")
    if min(values) < least:
        raise InputError(f"{name}={value}: must be {least} or more")
    return values


def _convolution(
    axes: int,
    stride: int | tuple[int, ...],
    padding: str | int | tuple[int, ...],
    dilation: int | tuple[int, ...],
    groups: int,
    padding_mode: str,
) -> dict[str, Any]:
    """The options of torch's convolutions, one value for each axis.

    Raises:
        InputError: a value of another length, or a padding mode other than zeros.
    """
    if padding_mode != "zeros":
        raise InputError(
            f"padding_mode={padding_mode!r}: padding adds closed synapses (zeros); for another, pad the input with "
            "torch.nn.functional.pad and choose padding=0"
        )
    return {
        "stride": _per_axis("stride", stride, axes),
        "padding": padding if isinstance(padding, str) else _per_axis("padding", padding, axes, 0),
        "dilation": _per_axis("dilation", dilation, axes),
        "groups": groups,
    }


class _ConductanceConvolution(ConductanceLayer):
    axes: ClassVar[int]

    @checked
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, ...],
        stride: int | tuple[int, ...] = 1,
        padding: str | int | tuple[int, ...] = 0,
        dilation: int | tuple[int, ...] = 1,
        groups: int = 1,
        bias: bool | None = None,
        padding_mode: str = "zeros",
        *,
        valence: Valences | None = None,
        excitatory_share: float | None = None,
        unit_valence: Valences | None = None,
        doubled_input: bool | None = None,
        nonnegative: NonnegativeForm = "clamped",
        resting_conductance: float | Tensor | None = None,
        resting_potential: float | Tensor = 0.0,
        learn_resting: bool = False,
        activation: Activation | None = "relu",
        average: bool = True,
        pooled_interneuron: bool = False,
        learn_gate: bool = False,
        detached_denominator: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        refuse_bias(bias)
        super().__init__(
            in_channels,
            out_channels,
            _per_axis("kernel_size", kernel_size, self.axes),
            _convolution(self.axes, stride, padding, dilation, groups, padding_mode),
            valence=valence,
            excitatory_share=excitatory_share,
            unit_valence=unit_valence,
            doubled_input=doubled_input,
            nonnegative=nonnegative,
            resting_conductance=resting_conductance,
            resting_potential=resting_potential,
            learn_resting=learn_resting,
            activation=activation,
            average=average,
            pooled_interneuron=pooled_interneuron,
            learn_gate=learn_gate,
            detached_denominator=detached_denominator,
            device=device,
            dtype=dtype,
        )


class CWAConv1d(_ConductanceConvolution):
    """Conductance-weighted average over a window of a sequence; arguments as for `CWAConv2d`.

    Input (N, in_channels, L) or (in_channels, L) in [0, 1]; output (N, out_channels, L').
    """

    axes = 1


class CWAConv2d(_ConductanceConvolution):
    r"""Conductance-weighted average over a receptive field, in place of ``torch.nn.Conv2d`` (paper eq. 6).

    .. math:: z = \frac{G_r e_r + (G \otimes e) \star p}{G_r + G \star p}, \qquad p = \max(z, 0)

    Input (N, in_channels, H, W) or (in_channels, H, W) in [0, 1]; output (N, out_channels, H', W'), p in [0, 1] or
    z in [-1, 1]. Padding adds closed synapses (p = 0).

    Args:
        in_channels: number of presynaptic channels.
        out_channels: number of units at each position.
        kernel_size: size of the receptive field.
        stride: as in torch.
        padding: as in torch, "same" and "valid" included.
        dilation: as in torch.
        groups: as in torch; half of each group's channels excite unless told otherwise.
        bias: there is none; the leak stands in its place. False is accepted.
        padding_mode: "zeros", closed synapses; there is no other.
        valence: one value in [-1, 1] for each presynaptic channel: +1 excites, -1 inhibits.
        excitatory_share: instead of ``valence``: the share of the presynaptic channels that excite, the first ones.
            Half by default.
        unit_valence: one value in [-1, 1] for each of this layer's own units, as layers that read them should see it
            (`assign_valences`); the first half excites by default.
        doubled_input: read the input as an excitatory and an inhibitory copy, as a first layer should. By default
            where a unit has a single channel, which could not be both.
        nonnegative: how G stays >= 0. "clamped": G = max(g, 0), the gradient passed on whole; "rectified": the
            paper's G = max(1 + g, 0); "softplus".
        resting_conductance: G_r >= 0, a number or (units,); by default a hundredth of the conductance that all
            synapses of a unit have at the start, so that it weighs the same at any fan-in.
        resting_potential: e_r in [-1, 1], a number or (units,).
        learn_resting: let each unit learn its G_r and e_r.
        activation: "relu" for p = max(z, 0) (eq. 4), what a next layer takes; None for the membrane potential z;
            "full_range" for p = (1 + z)/2 (see `FullRange`).
        average: False to return E' of all units, then I', side by side, which another layer takes as
            ``extra_conductances``.
        pooled_interneuron: let one interneuron at each position sit at the mean potential of the layer's units
            and act back on all of them: z' = (z - mean) / (1 + abs(mean)), see `functional.pooled_interneuron`.
        learn_gate: with "relu", let each unit learn its threshold and width instead (eq. 1, see `Gate`).
        detached_denominator: take E' + I' for a constant in the backward pass, see
            `functional.detached_membrane_potential`.
        device: as in torch.
        dtype: as in torch.

    Raises:
        InputError: a size, valence or resting term outside its range; ``bias=True``.
    """

    axes = 2


class CWAConv3d(_ConductanceConvolution):
    """Conductance-weighted average over a receptive field of a volume; arguments as for `CWAConv2d`.

    Input (N, in_channels, D, H, W) or (in_channels, D, H, W) in [0, 1]; output (N, out_channels, D', H', W').
    """

    axes = 3


class AbsNormConv2d(SignedLayer):
    r"""Signed kernels, divided by their total size (AbsNorm, paper section 4.4).

    .. math:: z = \frac{G_r e_r + W \star p}{G_r + |W| \star p}, \qquad p = \max(z, 0)

    Shapes and arguments as for `CWAConv2d`, without those of valences and conductances.
    """

    axes: ClassVar[int] = 2

    @checked
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, ...],
        stride: int | tuple[int, ...] = 1,
        padding: str | int | tuple[int, ...] = 0,
        dilation: int | tuple[int, ...] = 1,
        groups: int = 1,
        bias: bool | None = None,
        padding_mode: str = "zeros",
        *,
        resting_conductance: float | Tensor | None = None,
        resting_potential: float | Tensor = 0.0,
        learn_resting: bool = False,
        activation: Activation | None = "relu",
        average: bool = True,
        pooled_interneuron: bool = False,
        learn_gate: bool = False,
        detached_denominator: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        refuse_bias(bias)
        super().__init__(
            in_channels,
            out_channels,
            _per_axis("kernel_size", kernel_size, self.axes),
            _convolution(self.axes, stride, padding, dilation, groups, padding_mode),
            resting_conductance=resting_conductance,
            resting_potential=resting_potential,
            learn_resting=learn_resting,
            activation=activation,
            average=average,
            pooled_interneuron=pooled_interneuron,
            learn_gate=learn_gate,
            detached_denominator=detached_denominator,
            device=device,
            dtype=dtype,
        )
