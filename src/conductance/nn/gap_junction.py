"""Electrical synapses: a unit coupled to one other unit's state, for shortcuts inside the average."""

import math

import torch
from torch import Tensor, nn
from torch.fx import Proxy

from conductance.checked import checked, require_counts
from conductance.errors import InputError
from conductance.nn.tracing import record_call


class GapJunction(nn.Module):
    r"""What channel i of the input adds to the two conductances of unit i: a coupling c_i > 0 to the state p_i.

    .. math:: E'_i \mathrel{+}= c_i \frac{1 + p_i}{2}, \quad I'_i \mathrel{+}= c_i \frac{1 - p_i}{2}
              \quad\Rightarrow\quad z_i = \frac{E'_i - I'_i + c_i p_i}{E'_i + I'_i + c_i}

    That is an always open synapse whose reversal potential is p_i, as an electrical synapse's is the other cell's
    potential. It draws z towards p, and z stays a conductance-weighted average. With c_i = E' + I' it is the mean of
    the two.

    Input ``(N, channels, *positions)`` in [0, 1]; output ``(N, 2 * channels, *positions)``, the shares in E' of all
    units, then those in I', as `ConductanceLayer` takes them for ``extra_conductances``.

    Args:
        channels: how many.
        conductance: c at the start, > 0. Its logarithm is learnt.
        device, dtype: as in torch.

    Raises:
        InputError: a conductance that is not positive.
    """

    @checked
    def __init__(
        self,
        channels: int,
        conductance: float,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        require_counts(channels=channels)
        if not 0 < conductance < float("inf"):
            raise InputError(f"conductance={conductance}: a gap junction's must be positive and finite")
        start = torch.full((channels,), math.log(conductance), device=device, dtype=dtype)
        self.log_conductance = nn.Parameter(start)

    @property
    def conductance(self) -> Tensor:
        """c of each channel, (channels,)."""
        return self.log_conductance.exp()

    def forward(self, p: Tensor) -> Tensor:
        """Open probabilities to conductances."""
        if isinstance(p, Proxy):
            return record_call(self, p)
        half = (self.conductance / 2).view(-1, *(1,) * (p.ndim - 2))
        coupled = half * p
        return torch.cat([half + coupled, half - coupled], 1)

    def extra_repr(self) -> str:
        """How many channels."""
        return f"{len(self.log_conductance)}"
