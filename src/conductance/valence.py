"""Who excites and who inhibits: one valence e in [-1, 1] per presynaptic channel, and the products it calls for."""

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from conductance.errors import InputError

# Channels of one valence share one product; K classes cost one affine layer together, but each product has its
# overhead. Past this many classes two full products (every synapse an E/I pair) are cheaper.
MOST_CLASSES = 8

Valences = Sequence[float] | Tensor | float
"""One value for each channel. (One number is a share of excitatory channels, and deprecated.)"""


class Valence(nn.Module):
    """The valence (rescaled reversal potential, paper eq. 3) of each presynaptic channel.

    ``values`` has shape ``(channels,)``, or ``(2 * channels,)`` for a doubled input: the excitatory copies first,
    then the inhibitory ones. Channels of equal valence form a class. Where every group of a grouped layer has the
    same pattern of classes, ``class_values`` lists their valences, ``class_sizes`` the number of channels of each
    class in a group, and ``order`` the permutation that sorts the channels by class (None where they are sorted).
    Otherwise ``class_values`` is empty, and the average needs two full products.

    These are constants: neither parameters nor buffers, so that nothing averages, saves or re-initializes them.
    They follow the module to any device and precision.

    Args:
        valence: one value in [-1, 1] per channel; None for ``excitatory_share``.
        channels: number of presynaptic channels C.
        excitatory_share: the share of each group's channels that excite, in [0, 1]; they come first. Half by default
            (paper eq. 6).
        groups: number of groups that the channels fall into.
        doubled_input: each channel is read as an excitatory and as an inhibitory copy (paper section 4.2).
        may_be_one_sided: do not warn if all channels excite, or all inhibit.
        device: as in torch.
        dtype: as in torch.

    Raises:
        InputError: a share outside [0, 1], a vector of another length, a value that is not in [-1, 1], or both a
            share and values.
    """

    values: Tensor
    order: Tensor | None
    fan_in_order: Tensor | None

    def __init__(
        self,
        valence: Valences | None,
        channels: int,
        *,
        excitatory_share: float | None = None,
        groups: int = 1,
        doubled_input: bool = False,
        may_be_one_sided: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.channels = channels
        self.groups = groups
        self.doubled_input = doubled_input
        self.class_values: tuple[float, ...] = ()
        self.class_sizes: tuple[int, ...] = ()
        order = fan_in_order = None
        with torch.device("cpu"):  # the values are looked at, wherever the layer is to live
            values = _resolve(valence, excitatory_share, channels, groups, doubled_input)
            if not may_be_one_sided:
                _warn_if_one_sided(values)
            self.is_default_pair = doubled_input and bool(
                (values[:channels] == 1).all() and (values[channels:] == -1).all()
            )
            if not doubled_input:
                order, fan_in_order = self._sort_into_classes(values)
        self._constants = {"values": values, "order": order, "fan_in_order": fan_in_order}
        self._place(torch.empty(0, dtype=dtype or torch.get_default_dtype(), device=device))

    def _place(self, like: Tensor) -> None:
        """Put the constants where ``like`` is, the values in its type."""
        for name, constant in self._constants.items():
            dtype = like.dtype if name == "values" else torch.int64
            setattr(self, name, None if constant is None else constant.to(like.device, dtype))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Valence":
        super()._apply(fn, recurse)
        self._place(fn(torch.empty(0, dtype=self.values.dtype, device=self.values.device)))
        return self

    def _load_from_state_dict(self, *arguments: Any) -> None:
        if self.values.is_meta:  # no state dict holds them
            self._place(torch.empty(0, dtype=self.values.dtype))
        super()._load_from_state_dict(*arguments)

    @property
    def runs(self) -> list[tuple[float, int]]:
        """The values as (valence, number of channels in a row)."""
        values = self._constants["values"]
        assert values is not None
        distinct, counts = values.unique_consecutive(return_counts=True)
        return list(zip(distinct.tolist(), counts.tolist(), strict=True))

    def _sort_into_classes(self, values: Tensor) -> tuple[Tensor | None, Tensor | None]:
        per_group = values.view(self.groups, -1)
        distinct = per_group[0].unique().flip(0)
        if (per_group != per_group[0]).any() or len(distinct) > MOST_CLASSES:
            return None, None
        self.class_values = tuple(distinct.tolist())
        self.class_sizes = tuple(int((per_group[0] == value).sum()) for value in distinct)
        fan_in_order = torch.argsort(per_group[0], descending=True, stable=True)
        order = torch.argsort(values, descending=True, stable=True)
        if torch.equal(order, torch.arange(len(order))):
            return None, None
        return order, fan_in_order

    def sort_channels(self, p: Tensor, axis: int) -> Tensor:
        """The channels of p, which lie along ``axis``, one class after the other."""
        return p if self.order is None else p.index_select(axis, self.order.to(p.device))

    def sort_fan_in(self, conductance: Tensor) -> Tensor:
        """The synapses of each unit, (out, fan-in, *kernel), one class after the other."""
        order = self.fan_in_order
        return conductance if order is None else conductance.index_select(1, order.to(conductance.device))

    def per_synapse(self, conductance: Tensor) -> Tensor:
        """The valence of every synapse of ``conductance`` (out, fan-in, *kernel), in a shape that broadcasts to it."""
        copies = 2 if self.doubled_input else 1
        by_group = self.values.to(conductance.device).view(copies, self.groups, -1).transpose(0, 1).flatten(1)
        if self.groups > 1:
            by_group = by_group.repeat_interleave(len(conductance) // self.groups, 0)
        return by_group.view(*by_group.shape, *(1,) * (conductance.ndim - 2))

    def extra_repr(self) -> str:
        """How many channels there are of each valence."""
        values = self._constants["values"]
        assert values is not None
        return ", ".join(f"{int((values == v).sum())} at {v:+g}" for v in values.unique().flip(0).tolist())


def _resolve(
    valence: Valences | None, excitatory_share: float | None, channels: int, groups: int, doubled_input: bool
) -> Tensor:
    if valence is None:
        return _from_share(excitatory_share, channels, groups, doubled_input)
    if excitatory_share is not None:
        raise InputError(f"excitatory_share={excitatory_share} beside valence: give one of the two")
    if isinstance(valence, (int, float)) or (isinstance(valence, Tensor) and valence.ndim == 0):
        warnings.warn(
            f"valence={float(valence)}: a share of excitatory channels is now excitatory_share={float(valence)}; "
            "valence takes one value for each channel",
            DeprecationWarning,
            stacklevel=4,
        )
        return _from_share(float(valence), channels, groups, doubled_input)
    values = torch.as_tensor(valence, dtype=torch.float64).detach().cpu()
    wanted = 2 * channels if doubled_input else channels
    if values.shape != (wanted,):
        raise InputError(
            f"valence has shape {tuple(values.shape)}, but there are {wanted} presynaptic channels"
            f"{' (the doubled input has two copies of each)' if doubled_input else ''}: give one value for each"
        )
    if not bool((values.abs() <= 1).all()):  # also false for NaN
        raise InputError("valence must lie in [-1, 1]: -1 is the lowest reversal potential, +1 the highest")
    return values


def _from_share(share: float | None, channels: int, groups: int, doubled_input: bool) -> Tensor:
    if doubled_input:
        if share is not None:
            raise InputError(
                f"excitatory_share={share}: a doubled input is one excitatory and one inhibitory copy of each channel, "
                f"which leaves no share to choose; leave it out, or give all {2 * channels} values as valence"
            )
        return torch.tensor([1.0, -1.0], dtype=torch.float64).repeat_interleave(channels)
    return excitatory_first(channels // groups, 0.5 if share is None else share).repeat(groups)


def excitatory_first(channels: int, share: float = 0.5) -> Tensor:
    """The valences of a population: +1 for the given share of its members, the first ones, -1 for the others.

    A share between 0 and 1 makes at least one of several channels of either kind; half of an odd number leaves the one
    in the middle excitatory.

    Raises:
        InputError: a share outside [0, 1].
    """
    if not 0 <= share <= 1:
        raise InputError(f"excitatory_share={share}: must lie in [0, 1]")
    excitatory = max(math.floor(share * channels + 0.5), 1 if share > 0 else 0)
    if share < 1 and channels > 1:
        excitatory = min(excitatory, channels - 1)
    pattern = -torch.ones(channels, dtype=torch.float64, device="cpu")
    pattern[:excitatory] = 1
    return pattern


def _warn_if_one_sided(values: Tensor) -> None:
    for bound, kind, consequence in [
        (values > 0, "excitatory", "no unit can be pulled below its resting potential"),
        (values < 0, "inhibitory", "no unit can be driven above its resting potential"),
    ]:
        if len(values) and bool(bound.all()):
            warnings.warn(f"all {len(values)} presynaptic channels are {kind}: {consequence}", stacklevel=4)
