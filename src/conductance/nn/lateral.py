"""Lateral inhibition: interneurons that a layer's own units drive, and that inhibit them in turn."""

import warnings
from collections.abc import Sequence
from typing import Any, Unpack

import torch
from torch import Tensor

from conductance import kernels
from conductance.errors import InputError
from conductance.nn.base import ConductanceLayer, ConductanceOptions
from conductance.nn.conv import CWAConv2d
from conductance.nn.linear import CWALinear

INTERNEURONS = 0.25  # for each unit; one cell in five then is an interneuron, as in cortex
SLICES = 2
STRENGTH = 0.1


class _Lateral(ConductanceLayer):
    """The rollout, the same for linear layers and convolutions. Interneurons come with leaks of G_r = 1, e_r = 0."""

    interneurons: ConductanceLayer
    feedback: ConductanceLayer

    def _add_interneurons(
        self,
        share: float,
        slices: int,
        strength: float,
        unit_valence: float | Sequence[float] | Tensor | None,
        options: ConductanceOptions,
    ) -> None:
        if not 0 < share < float("inf"):
            raise InputError(f"interneurons={share}: give how many there are for each unit, more than 0")
        if slices < 0 or slices != int(slices):
            raise InputError(f"slices={slices}: must be a whole number, 0 or more")
        if not self.average:
            raise InputError("average=False: such a layer hands on sums, but its interneurons need the average")
        if not 0 < strength < float("inf"):
            raise InputError(f"strength={strength}: must be positive and finite")
        number = max(1, round(share * self.out_channels))
        alike: Any = {name: options.get(name) for name in ("nonnegative", "device", "dtype") if name in options}
        self.slices, self.strength = slices, strength
        self.interneurons = self._pointwise(
            self.out_channels,
            number,
            valence=unit_valence,
            activation="relu",
            learn_resting=options.get("learn_resting", False),
            **alike,
        )
        with warnings.catch_warnings():  # that all of its inputs inhibit is what this layer is for
            warnings.simplefilter("ignore", UserWarning)
            self.feedback = self._pointwise(
                number, self.out_channels, valence=[-1.0] * number, resting_conductance=0.0, **alike
            )

    def _pointwise(self, inputs: int, outputs: int, **options: Any) -> ConductanceLayer:
        """A layer from units to units at the same position."""
        raise NotImplementedError

    def averaged(self, p: Tensor, extra_conductances: Tensor | None = None) -> Tensor:
        """E' and I' in the last slice, with what the interneurons have sent back."""
        sums = kernels.dense(super().averaged(p, extra_conductances), self.channel_axis)
        E, I = sums.chunk(2, self.channel_axis)
        for _ in range(self.slices):
            q = self.interneurons(self.respond(sums, p).clamp(min=0))
            lateral = self.feedback.synaptic_sum(q, self.feedback.conductance, None)
            sums = torch.cat([E, torch.add(I, lateral, alpha=self.strength)], self.channel_axis)
        return sums

    def extra_repr(self) -> str:
        """Sizes and options, as torch's layers show theirs."""
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
        in_features, out_features: as for `CWALinear`.
        interneurons: per unit, > 0.
        slices: T >= 0; 0 is the layer without interneurons.
        strength: lambda > 0.
        unit_valence: what this layer's own units are, as ``valence`` says it of its input.
        options: those of `CWALinear`, by keyword.

    Raises:
        InputError: a number out of range.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        interneurons: float = INTERNEURONS,
        slices: int = SLICES,
        strength: float = STRENGTH,
        unit_valence: float | Sequence[float] | Tensor | None = None,
        **options: Unpack[ConductanceOptions],
    ) -> None:
        super().__init__(in_features, out_features, **options)
        self._add_interneurons(interneurons, slices, strength, unit_valence, options)

    def _pointwise(self, inputs: int, outputs: int, **options: Any) -> ConductanceLayer:
        return CWALinear(inputs, outputs, **options)


class LateralConv2d(_Lateral, CWAConv2d):
    """A `CWAConv2d` whose units inhibit each other by way of interneurons at each position; see `LateralLinear`.

    Args:
        sizes: in_channels, out_channels, kernel_size, stride, padding, dilation and groups, as for `CWAConv2d`.
        interneurons, slices, strength, unit_valence: as for `LateralLinear`, by keyword; interneurons per channel.
        options: those of `CWAConv2d`, by keyword.

    Raises:
        InputError: a number out of range.
    """

    def __init__(
        self,
        *sizes: Any,
        interneurons: float = INTERNEURONS,
        slices: int = SLICES,
        strength: float = STRENGTH,
        unit_valence: float | Sequence[float] | Tensor | None = None,
        **options: Any,
    ) -> None:
        super().__init__(*sizes, **options)
        self._add_interneurons(interneurons, slices, strength, unit_valence, options)  # type: ignore[arg-type]

    def _pointwise(self, inputs: int, outputs: int, **options: Any) -> ConductanceLayer:
        return CWAConv2d(inputs, outputs, 1, **options)
