"""Who excites and who inhibits: one valence e in [-1, 1] per presynaptic channel, and the products it calls for."""

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from conductance.errors import InputError

# Channels of one valence share one product; K classes cost one affine layer together, but each product has its
# overhead. Past this many classes two full products (every synapse an E/I pair) are cheaper.
MOST_CLASSES = 8


class Valence(nn.Module):
    """The valence (rescaled reversal potential, paper eq. 3) of each presynaptic channel.

    ``values`` has shape ``(channels,)``, or ``(2 * channels,)`` for a doubled input: the excitatory copies first,
    then the inhibitory ones. Channels of equal valence form a class; where every group of a grouped layer has the
    same pattern of classes, ``class_values`` lists their valences, ``class_sizes`` how many channels of each class a
    group has, and ``order`` (None where the classes already lie one after the other) the permutation that sorts the
    channels by class. Otherwise ``class_values`` is empty, and the average needs two full products.

    Args:
        valence: None for half excitatory, half inhibitory (eq. 6), in each group of a grouped layer; a ratio in
            [0, 1], the excitatory share of each group's channels; or one value in [-1, 1] per channel.
        channels: number of presynaptic channels C.
        groups: number of groups that the channels fall into.
        doubled_input: each channel is read as an excitatory and as an inhibitory copy (paper section 4.2).

    Raises:
        InputError: a ratio outside [0, 1], a vector of another length, or a value that is not in [-1, 1].
    """

    values: Tensor
    order: Tensor | None
    fan_in_order: Tensor | None

    def __init__(
        self,
        valence: float | Sequence[float] | Tensor | None,
        channels: int,
        *,
        groups: int = 1,
        doubled_input: bool = False,
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
            values = _resolve(valence, channels, groups, doubled_input)
            _warn_if_one_sided(values)
            self.is_default_pair = doubled_input and bool(
                (values[:channels] == 1).all() and (values[channels:] == -1).all()
            )
            if not doubled_input:
                order, fan_in_order = self._sort_into_classes(values)
        device = device or torch.get_default_device()
        values = values.to(dtype or torch.get_default_dtype(), copy=True)
        self._plain = {"values": values, "order": order, "fan_in_order": fan_in_order}
        for name, plain in self._plain.items():
            self.register_buffer(name, None if plain is None else plain.to(device, copy=True), persistent=False)

    def refill(self) -> None:
        """Make the buffers what they were made as: memory that ``to_empty`` gave them holds anything."""
        for name, plain in self._plain.items():
            buffer = getattr(self, name)
            if buffer is not None and plain is not None:
                if buffer.is_meta:
                    setattr(self, name, plain.to(torch.get_default_device(), buffer.dtype))
                elif not torch.equal(wanted := plain.to(buffer.device, buffer.dtype), buffer):
                    buffer.copy_(wanted)

    def _load_from_state_dict(self, *arguments: Any) -> None:
        self.refill()  # no state dict holds them
        super()._load_from_state_dict(*arguments)

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

    def per_synapse(self, conductance: Tensor) -> Tensor:
        """The valence of every synapse of ``conductance`` (out, fan-in, *kernel), in a shape that broadcasts to it."""
        copies = 2 if self.doubled_input else 1
        by_group = self.values.view(copies, self.groups, -1).transpose(0, 1).flatten(1)
        if self.groups > 1:
            by_group = by_group.repeat_interleave(len(conductance) // self.groups, 0)
        return by_group.view(*by_group.shape, *(1,) * (conductance.ndim - 2))

    def extra_repr(self) -> str:
        """How many channels there are of each valence."""
        values = self._plain["values"]
        assert values is not None
        return ", ".join(f"{int((values == v).sum())} at {v:+g}" for v in values.unique().flip(0).tolist())


def _resolve(
    valence: float | Sequence[float] | Tensor | None, channels: int, groups: int, doubled_input: bool
) -> Tensor:
    if doubled_input and valence is None:
        return torch.tensor([1.0, -1.0], dtype=torch.float64).repeat_interleave(channels)
    if valence is None:
        valence = 0.5
    if not isinstance(valence, (int, float, Sequence)) and valence.ndim == 0:
        valence = float(valence)
    if isinstance(valence, (int, float)):
        if doubled_input:
            raise InputError(
                f"valence={valence}: a doubled input is one excitatory and one inhibitory copy of each channel, "
                f"which leaves no ratio to choose; leave valence out, or give all {2 * channels} values"
            )
        return _from_ratio(float(valence), channels, groups)
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


def _from_ratio(ratio: float, channels: int, groups: int) -> Tensor:
    if not 0 <= ratio <= 1:
        raise InputError(f"valence={ratio}: as a ratio it is the excitatory share of the channels, in [0, 1]")
    per_group = channels // groups
    pattern = -torch.ones(per_group, dtype=torch.float64)
    pattern[: round(ratio * per_group)] = 1
    return pattern.repeat(groups)


def _warn_if_one_sided(values: Tensor) -> None:
    for bound, kind, consequence in [
        (values > 0, "excitatory", "no unit can be pulled below its resting potential"),
        (values < 0, "inhibitory", "no unit can be driven above its resting potential"),
    ]:
        if len(values) and bool(bound.all()):
            warnings.warn(f"all {len(values)} presynaptic channels are {kind}: {consequence}", stacklevel=4)
