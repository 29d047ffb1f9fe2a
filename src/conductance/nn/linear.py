"""Fully connected layers."""

import torch
from torch import Tensor, nn

from conductance.checked import checked
from conductance.functional import Activation
from conductance.nn.base import refuse_bias
from conductance.nn.conductance import ConductanceLayer
from conductance.nn.signed import SignedLayer
from conductance.nonnegative import NonnegativeForm
from conductance.valence import Valences


class _Linear(nn.Module):
    """The names of torch's linear layer."""

    in_channels: int
    out_channels: int

    @property
    def in_features(self) -> int:
        """Number of presynaptic channels."""
        return self.in_channels

    @property
    def out_features(self) -> int:
        """Number of units."""
        return self.out_channels


class CWALinear(_Linear, ConductanceLayer):
    r"""Conductance-weighted average of all inputs, in place of ``torch.nn.Linear`` (paper eq. 3).

    .. math:: z_i = \frac{G_r e_r + \sum_j G_{ij} e_j p_j}{G_r + \sum_j G_{ij} p_j}, \qquad p_i = \max(z_i, 0)

    Input (..., in_features) in [0, 1]; output (..., out_features), p in [0, 1] or z in [-1, 1].

    Args:
        in_features: number of presynaptic channels.
        out_features: number of units.
        bias: there is none; the leak stands in its place. False is accepted.
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
        pooled_interneuron: let one interneuron sit at the mean potential of the layer's units
            and act back on all of them: z' = (z - mean) / (1 + abs(mean)), see `functional.pooled_interneuron`.
        learn_gate: with "relu", let each unit learn its threshold and width instead (eq. 1, see `Gate`).
        detached_denominator: take E' + I' for a constant in the backward pass, see
            `functional.detached_membrane_potential`.
        device: as in torch.
        dtype: as in torch.

    Raises:
        InputError: a size, valence or resting term outside its range; ``bias=True``.
    """

    @checked
    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool | None = None,
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
            in_features,
            out_features,
            (),
            {},
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


class AbsNormLinear(_Linear, SignedLayer):
    r"""Signed weights, divided by their total size (AbsNorm, paper section 4.4).

    .. math:: z_i = \frac{G_r e_r + \sum_j W_{ij} p_j}{G_r + \sum_j |W_{ij}| p_j}, \qquad p_i = \max(z_i, 0)

    Input (..., in_features) in [0, 1]; output (..., out_features). Arguments as for `CWALinear`, without those of
    valences and conductances.
    """

    @checked
    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool | None = None,
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
            in_features,
            out_features,
            (),
            {},
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
