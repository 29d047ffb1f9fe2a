"""From membrane potential to open probability: learnt, logistic (paper eq. 1), or not cut at all."""

import math

import torch
from torch import Tensor, nn

from conductance.checked import checked, require_counts
from conductance.errors import InputError


class Gate(nn.Module):
    r"""The rectified gate of paper eq. 1, with threshold and width learnt for each unit.

    .. math:: p_i = \min\left(\max\left(\frac{z_i - \theta_i}{k_i}, 0\right), 1\right), \qquad k_i = e^{\kappa_i} > 0

    It starts at :math:`\theta = 0, k = 1`, which is p = max(z, 0) for all z in [-1, 1] (paper eq. 4), unless told
    otherwise.

    Shapes:
        z in [-1, 1], (..., units) or ``(N, units, *positions)`` to p in [0, 1] of the same shape.

    Args:
        units: how many.
        channel_axis: where they lie, counted from the end: -1 for a linear layer, -3 for images.
        threshold: theta at the start.
        width: k at the start, > 0.
        learn: False to keep both as they are.
        device, dtype: as in torch.

    Raises:
        InputError: a width that is not positive, a threshold that is not finite, no units, or an axis not from the end.
    """

    threshold: Tensor
    log_width: Tensor

    @checked
    def __init__(
        self,
        units: int,
        channel_axis: int = -1,
        *,
        threshold: float = 0.0,
        width: float = 1.0,
        learn: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        require_counts(units=units)
        if channel_axis >= 0:
            raise InputError(f"channel_axis={channel_axis}: count from the end, -1 for the last axis")
        if not abs(threshold) < float("inf"):
            raise InputError(f"threshold={threshold}: a gate's must be finite")
        if not 0 < width < float("inf"):
            raise InputError(f"width={width}: a gate's must be positive and finite")
        self.shape = (units, *(1,) * (-1 - channel_axis))
        self.start = threshold, math.log(width)
        for name in ("threshold", "log_width"):
            values = torch.empty(units, device=device, dtype=dtype)
            if learn:
                self.register_parameter(name, nn.Parameter(values))
            else:
                self.register_buffer(name, values)
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Threshold and width as they were given."""
        self.threshold.fill_(self.start[0])
        self.log_width.fill_(self.start[1])

    @property
    def width(self) -> Tensor:
        """k of each unit, (units,), > 0: how far z rises from closed to open."""
        return self.log_width.exp()

    def forward(self, z: Tensor) -> Tensor:
        """Membrane potentials to open probabilities."""
        return self.above_threshold(z).clamp(0, 1)

    def above_threshold(self, z: Tensor) -> Tensor:
        """(z - theta) / k."""
        threshold, slope = self.threshold.to(z.dtype), (-self.log_width).exp().to(z.dtype)
        return (z - threshold.view(self.shape)) * slope.view(self.shape)

    def extra_repr(self) -> str:
        """How many units."""
        return f"{len(self.threshold)}"


class LogisticGate(Gate):
    r"""The Boltzmann gate of paper eq. 1: half open at the threshold, never quite closed.

    .. math:: p_i = \frac{1}{1 + e^{-(z_i - \theta_i)/k_i}}

    Arguments and shapes as for `Gate`.
    """

    def forward(self, z: Tensor) -> Tensor:
        """Membrane potentials to open probabilities."""
        return torch.sigmoid(self.above_threshold(z))


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
