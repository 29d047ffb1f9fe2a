"""The leak of each unit: its resting conductance and resting potential (paper eq. 1)."""

from typing import Any

import torch
from torch import Tensor, nn

from conductance import functional
from conductance.errors import InputError
from conductance.nonnegative import NONNEGATIVE

# A unit without input divides by its leak alone; one that learns it away would divide by nothing.
LEAST_LEARNT_LEAK = 1e-3


class Leak(nn.Module):
    """The resting conductance and potential of each unit, held as two always-open synapses (`functional.leak_pair`).

    Fixed, it is a buffer; learnt, a parameter whose two conductances stay above `LEAST_LEARNT_LEAK` in the way that
    ``nonnegative`` names, so that the resting potential stays in (-1, 1).
    """

    def __init__(
        self,
        units: int,
        resting_conductance: float | Tensor,
        resting_potential: float | Tensor,
        *,
        learn: bool,
        nonnegative: str,
        device: torch.device | str | None,
        dtype: torch.dtype | None,
    ) -> None:
        super().__init__()
        self.form = nonnegative if learn else "clamped"
        self.least = LEAST_LEARNT_LEAK if learn else 0.0
        dtype = dtype or torch.get_default_dtype()
        with torch.device("cpu"):  # the values are checked, wherever the layer is to live
            G_r = torch.as_tensor(resting_conductance, dtype=torch.float64).detach().cpu()
            e_r = torch.as_tensor(resting_potential, dtype=torch.float64).detach().cpu()
            _check_leak(G_r, e_r, units)
            pair = functional.leak_pair(G_r.clamp(min=functional.smallest_leak(dtype)), e_r, units)
            self.initial = NONNEGATIVE[self.form].parameter((pair - self.least).clamp(min=0)).to(dtype)
        pair = self.initial.to(device or torch.get_default_device(), copy=True)
        if learn:
            self.pair = nn.Parameter(pair)
        else:
            self.register_buffer("pair", pair)

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """As it was made."""
        self.pair.copy_(self.initial)

    def _apply(self, fn: Any, recurse: bool = True) -> "Leak":
        super()._apply(fn, recurse)
        self._keep_from_zero()
        return self

    def _load_from_state_dict(self, *arguments: Any) -> None:
        super()._load_from_state_dict(*arguments)
        self._keep_from_zero()

    @torch.no_grad()
    def _keep_from_zero(self) -> None:
        """What stands for no leak, and a type of fewer bits has rounded to 0, must not divide 0 by 0."""
        if self.least == 0 and self.pair.is_floating_point():
            smallest = functional.smallest_leak(self.pair.dtype) / 2
            self.pair.copy_(torch.where(self.pair.sum(0, keepdim=True) == 0, smallest, self.pair))

    def forward(self) -> Tensor:
        """The leak's excitatory and inhibitory conductance, (2, units)."""
        pair = NONNEGATIVE[self.form].conductance(self.pair)
        return pair + self.least if self.least else pair

    @torch.no_grad()
    def set_conductance(self, G_r: Tensor) -> None:
        """Give each unit the resting conductance ``G_r``, (units,); the resting potentials stay."""
        excitatory_share = (1 + self.potential) / 2
        pair = G_r * torch.stack([excitatory_share, 1 - excitatory_share])
        self.pair.copy_(NONNEGATIVE[self.form].parameter((pair - self.least).clamp(min=0)))

    @property
    def conductance(self) -> Tensor:
        """G_r of each unit, (units,)."""
        return self().sum(0)

    @property
    def potential(self) -> Tensor:
        """e_r of each unit, (units,)."""
        excitatory, inhibitory = self()
        return (excitatory - inhibitory) / (excitatory + inhibitory)


def _check_leak(G_r: Tensor, e_r: Tensor, units: int) -> None:
    for name, value in (("resting_conductance", G_r), ("resting_potential", e_r)):
        if value.shape not in ((), (1,), (units,)):
            raise InputError(
                f"{name} has shape {tuple(value.shape)}; give one number, or one for each of {units} units"
            )
    if not bool(((G_r >= 0) & G_r.isfinite()).all()):
        raise InputError("resting_conductance must be finite and not negative (0 for no leak)")
    if not bool((e_r.abs() <= 1).all()):
        raise InputError("resting_potential must lie in [-1, 1] (rescaled; 0 is half-way between E and I)")
