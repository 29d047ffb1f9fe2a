"""Lateral inhibition: interneurons that a layer's own units drive, and that inhibit them in turn."""

import warnings
from typing import Any

import torch
from torch import Tensor

from conductance import kernels
from conductance.checked import checked
from conductance.errors import InputError
from conductance.functional import Activation
from conductance.nn.base import require_room
from conductance.nn.conductance import ConductanceLayer
from conductance.nn.conv import CWAConv2d
from conductance.nn.linear import CWALinear
from conductance.nonnegative import NonnegativeForm
from conductance.valence import Valences

INTERNEURONS = 0.25  # for each unit; one cell in five then is an interneuron, as in cortex
SLICES = 2
STRENGTH = 0.1


class _Lateral(ConductanceLayer):
    """The rollout, the same for linear layers and convolutions. Interneurons come with leaks of G_r = 1, e_r = 0."""

    interneurons: ConductanceLayer
    feedback: ConductanceLayer

    def _add_interneurons(self, share: float, slices: int, strength: float) -> None:
        if not 0 < share < float("inf"):
            raise InputError(f"interneurons={share}: give how many there are for each unit, more than 0")
        if slices < 0 or slices != int(slices):
            raise InputError(f"slices={slices}: must be a whole number, 0 or more")
        if not self.average:
            raise InputError("average=False: such a layer hands on sums, but its interneurons need the average")
        if not 0 < strength < float("inf"):
            raise InputError(f"strength={strength}: must be positive and finite")
        number = max(1, round(share * self.out_channels))
        require_room("layer of interneurons", (number, self.out_channels), number, self.g.device, self.g.dtype)
        alike: Any = {"nonnegative": self.nonnegative, "device": self.g.device, "dtype": self.g.dtype}
        self.slices, self.strength = slices, strength
        self.interneurons = self._pointwise(
            self.out_channels,
            number,
            valence=self.unit_valence,
            unit_valence=[-1.0] * number,
            resting_conductance=1.0,
            learn_resting=self.learn_resting,
            **alike,
        )
        with warnings.catch_warnings():  # that all of its inputs inhibit is what this layer is for
            warnings.simplefilter("ignore", UserWarning)
            self.feedback = self._pointwise(
                number, self.out_channels, valence=[-1.0] * number, resting_conductance=0.0, activation=None, **alike
            )

    def set_unit_valence(self, valence: Valences) -> None:
        """Say anew what each unit is, to its interneurons too."""
        super().set_unit_valence(valence)
        self.interneurons.set_valence(self.unit_valence)

    def _pointwise(self, inputs: int, outputs: int, **options: Any) -> ConductanceLayer:
        """A layer from units to units at the same position."""
        raise NotImplementedError

    def open_conductances(self, p: Tensor, extra_conductances: Tensor | None = None) -> Tensor:
        """E' and I' in the last slice, with what the interneurons have sent back."""
        both = kernels.dense(super().open_conductances(p, extra_conductances), self.channel_axis)
        E, I = both.chunk(2, self.channel_axis)
        for _ in range(self.slices):
            q = self.interneurons(self.respond(both, p).clamp(min=0))
            lateral = self.feedback.synaptic_sum(q, self.feedback.conductance, None)
            both = torch.cat([E, torch.add(I, lateral, alpha=self.strength)], self.channel_axis)
        return both

    def extra_repr(self) -> str:
        """Sizes, and every option that differs from its default."""
        return f"{super().extra_repr()}, slices={self.slices}, strength={self.strength}"


class LateralLinear(_Lateral, CWALinear):
    r"""A `CWALinear` whose units inhibit each other by way of interneurons (paper section 4.4).

    With E' and I' as the layer's input gives them, held while T time slices pass,

    .. math:: p^0 = \max\left(\frac{E' - I'}{E' + I'}, 0\right), \quad q^t = \mathrm{CWA}(p^{t-1}), \quad
              I'^t = I' + \lambda\, L\, q^t, \quad p^t = \max\left(\frac{E' - I'^t}{E' + I'^t}, 0\right),

    with conductances L >= 0 from interneurons to units, and q the interneurons' own conductance-weighted average of the
    layer's units. The result is that of the last slice, and gradients flow through all of them. The paper says no more
    than "extra inhibitory neurons, activated recurrently in a temporal rollout": what is built here is our reading.

    Args:
        in_features, out_features, bias: as for `CWALinear`.
        interneurons: per unit, > 0.
        slices: T >= 0; 0 is the layer without interneurons.
        strength: lambda > 0.

    All other arguments are those of `CWALinear`. The interneurons read the units by their ``unit_valence``.

    Raises:
        InputError: a number out of range.
    """

    @checked
    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool | None = None,
        *,
        interneurons: float = INTERNEURONS,
        slices: int = SLICES,
        strength: float = STRENGTH,
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
        learn_gate: bool = False,
        detached_denominator: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(
            in_features,
            out_features,
            bias,
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
            learn_gate=learn_gate,
            detached_denominator=detached_denominator,
            device=device,
            dtype=dtype,
        )
        self._add_interneurons(interneurons, slices, strength)

    def _pointwise(self, inputs: int, outputs: int, **options: Any) -> ConductanceLayer:
        return CWALinear(inputs, outputs, **options)


class LateralConv2d(_Lateral, CWAConv2d):
    """A `CWAConv2d` whose units inhibit each other by way of interneurons at each position; see `LateralLinear`.

    Args:
        in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode: as for
            `CWAConv2d`.
        interneurons, slices, strength: as for `LateralLinear`; interneurons per channel.

    All other arguments are those of `CWAConv2d`.

    Raises:
        InputError: a number out of range.
    """

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
        interneurons: float = INTERNEURONS,
        slices: int = SLICES,
        strength: float = STRENGTH,
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
        learn_gate: bool = False,
        detached_denominator: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            groups,
            bias,
            padding_mode,
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
            learn_gate=learn_gate,
            detached_denominator=detached_denominator,
            device=device,
            dtype=dtype,
        )
        self._add_interneurons(interneurons, slices, strength)

    def _pointwise(self, inputs: int, outputs: int, **options: Any) -> ConductanceLayer:
        return CWAConv2d(inputs, outputs, 1, **options)
