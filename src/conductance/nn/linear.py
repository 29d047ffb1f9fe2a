"""Fully connected layers."""

from typing import Unpack

from torch import nn

from conductance.nn.base import ConductanceLayer, ConductanceOptions, SignedLayer


class _Linear(nn.Module):
    """The arguments and names of torch's linear layer, on top of an averaging layer's own."""

    in_channels: int
    out_channels: int

    def __init__(self, in_features: int, out_features: int, **options: Unpack[ConductanceOptions]) -> None:
        super().__init__(in_features, out_features, (), {}, **options)

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

    .. math:: z_i = \frac{G_r e_r + \sum_j G_{ij} e_j p_j}{G_r + \sum_j G_{ij} p_j}

    Input (..., in_features) in [0, 1]; output (..., out_features), z in [-1, 1] or p in [0, 1].

    Args:
        in_features: number of presynaptic channels.
        out_features: number of units.

    By keyword:
        valence: None for half excitatory (the first half), half inhibitory; the excitatory share, e.g. 0.8; or one
            value in [-1, 1] for each presynaptic channel.
        doubled_input: for a first layer: read the input as an excitatory and an inhibitory copy.
        nonnegative: how G stays >= 0: "rectified" (G = max(1 + g, 0), the paper's), "exp", "softplus", or
            "projected" (G itself; needs an optimizer from `conductance.optim`, which clamps it after each step).
        resting_conductance: G_r >= 0, a number or (out_features,).
        resting_potential: e_r in [-1, 1], a number or (out_features,).
        learn_resting: let each unit learn its G_r and e_r.
        activation: None for z, "relu" for p = max(z, 0) (eq. 4), "full_range" for p = (1 + z)/2 (see
            `FullRange`).
        average: False to return E' of all units, then I', side by side, which another layer takes as
            ``extra_conductances``.
        learn_gate: with "relu", let each unit learn its threshold and width instead (eq. 1, see `Gate`).
        detached_denominator: take E' + I' for a constant in the backward pass, see
            `functional.detached_membrane_potential`.
        device: as in torch.
        dtype: as in torch.

    Raises:
        InputError: a valence, resting term or size outside its range.
    """


class AbsNormLinear(_Linear, SignedLayer):
    r"""Signed weights, divided by their total size (AbsNorm, paper section 4.4).

    .. math:: z_i = \frac{G_r e_r + \sum_j W_{ij} p_j}{G_r + \sum_j |W_{ij}| p_j}

    Input (..., in_features) in [0, 1]; output (..., out_features). Args as for `CWALinear`, without valence.
    """
