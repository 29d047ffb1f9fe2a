"""From membrane potential to open probability otherwise than by max(z, 0): learnt (paper eq. 1), or not cut at all."""

import torch
from torch import Tensor, nn


class Gate(nn.Module):
    r"""The rectified gate of paper eq. 1, with threshold and width learnt for each unit.

    .. math:: p_i = \min\left(\max\left(\frac{z_i - \theta_i}{k_i}, 0\right), 1\right), \qquad k_i = e^{\kappa_i} > 0

    It starts at :math:`\theta = 0, k = 1`, which is p = max(z, 0) for all z in [-1, 1] (paper eq. 4).

    Shapes:
        z in [-1, 1], (..., units) or (N, units, *positions) to p in [0, 1] of the same shape.

    Args:
        units: how many.
        channel_axis: where they lie, counted from the end: -1 for a linear layer, -3 for images.
        device, dtype: as in torch.
    """

    def __init__(
        self,
        units: int,
        channel_axis: int = -1,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.shape = (units, *(1,) * (-1 - channel_axis))
        self.threshold = nn.Parameter(torch.empty(units, device=device, dtype=dtype))
        self.log_width = nn.Parameter(torch.empty(units, device=device, dtype=dtype))
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Threshold 0 and width 1: p = max(z, 0)."""
        self.threshold.zero_()
        self.log_width.zero_()

    @property
    def width(self) -> Tensor:
        """k of each unit, (units,), > 0: how far z rises from closed to open."""
        return self.log_width.exp()

    def forward(self, z: Tensor) -> Tensor:
        """Membrane potentials to open probabilities."""
        threshold, slope = self.threshold.to(z.dtype), (-self.log_width).exp().to(z.dtype)
        return ((z - threshold.view(self.shape)) * slope.view(self.shape)).clamp(0, 1)

    def extra_repr(self) -> str:
        """How many units."""
        return f"{len(self.threshold)}"


class FullRange(nn.Module):
    """p = (1 + z) / 2: all of z in [-1, 1] is transmitted, and no activation function but the average itself is left.

    With zero-current potentials rescaled to [0, 1] instead of [-1, 1], it is p = z = E' / (E' + I'): the network
    without a further activation function of paper section 2.3, with open probabilities that stay in [0, 1].
    """

    def reset_parameters(self) -> None:
        """Nothing to reset."""

    def forward(self, z: Tensor) -> Tensor:
        """Membrane potentials to open probabilities."""
        return (1 + z) / 2
