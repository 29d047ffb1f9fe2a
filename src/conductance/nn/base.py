"""What every averaging layer has: a leak, an activation, the average, and a state dict that says what it means."""

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import Proxy

from conductance import functional, kernels
from conductance.errors import InputError
from conductance.functional import Activation
from conductance.memory import require_memory
from conductance.nn import state
from conductance.nn.gates import FullRange, Gate
from conductance.nn.leak import Leak
from conductance.nn.tracing import record_call
from conductance.valence import Valence

# G_r where nobody chooses it, as a share of the conductance that all synapses of a unit have at the start.
LEAK_SHARE = 0.01

PER_UNIT = "per unit"
"""What `AveragingLayer.initial_resting` says of a term that was given for each unit."""

_EXTRA_STATE = "_extra_state"
_COPIES_AT_START = 4  # of all synapses, while they are drawn
_VALENCES_AT_START = 32  # bytes for each channel and unit, while they are looked at


class AveragingLayer(nn.Module):
    """A layer of units that average what they receive: sizes, leak, activation and the sum over synapses.

    The base of conductance layers and of layers with signed weights.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        convolution: Mapping[str, Any],
        *,
        typical_total: float,
        nonnegative: str = "clamped",
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
        super().__init__()
        if activation != "full_range":
            functional.require_activation(activation)
        self.in_channels, self.out_channels = in_channels, out_channels
        self.groups = convolution.get("groups", 1)
        self.channel_axis = -1 if not convolution else -1 - len(convolution["stride"])
        self.activation = activation
        self.average = average
        self.pooled_interneuron = pooled_interneuron
        if pooled_interneuron:
            check_pool(out_channels, average)
        self.learn_resting = learn_resting
        self.detached_denominator = detached_denominator
        self.convolution = dict(convolution)
        # the paper's form starts at 1, and its parameter is what a conductance has above that
        self.synaptic_sum = kernels.SynapticSum(nearly_equal=nonnegative == "rectified", **self.convolution)
        self.initial_resting = tuple(
            None if value is None else float(value) if torch.as_tensor(value).numel() == 1 else PER_UNIT
            for value in (resting_conductance, resting_potential)
        )
        self.leak = Leak(
            out_channels,
            LEAK_SHARE * typical_total if resting_conductance is None else resting_conductance,
            resting_potential,
            learn=learn_resting,
            nonnegative=nonnegative,
            device=device,
            dtype=dtype,
        )
        self.gate: Gate | FullRange | None = FullRange() if activation == "full_range" else None
        if learn_gate and activation == "relu":
            self.gate = Gate(out_channels, self.channel_axis, device=device, dtype=dtype)

    @property
    def resting_conductance(self) -> Tensor:
        """G_r of each unit, (out,), >= 0."""
        return self.leak.conductance

    @property
    def resting_potential(self) -> Tensor:
        """e_r of each unit, (out,), in [-1, 1]: where z rests when no synapse is open."""
        return self.leak.potential

    def packed(self) -> Tensor:
        """The conductances in the order that the products read, see `kernels.pack`."""
        raise NotImplementedError

    def synaptic_conductances(self, p: Tensor) -> kernels.Sums:
        """E' of all units, then I', from this layer's own synapses and leak; in half precision in parts."""
        return kernels.open_conductances(p, self.packed(), self._presynaptic(), self.leak(), self.synaptic_sum)

    def _presynaptic(self) -> Valence | None:
        """What the presynaptic channels are; None where the sign is the synapse's."""
        return None

    def open_conductances(self, p: Tensor, extra_conductances: Tensor | None = None) -> kernels.Sums:
        """What the units average: E' of all units, then I', along the channels, with all that joins them."""
        own = self.synaptic_conductances(p)
        return own if extra_conductances is None else kernels.dense(own, self.channel_axis) + extra_conductances

    def excitation_inhibition(self, p: Tensor, extra_conductances: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """E' and I', the excitatory and inhibitory conductance open at each unit, ``(..., out, *positions)``.

        That of a pooled interneuron is among them.
        """
        both = kernels.dense(self.open_conductances(p, extra_conductances), self.channel_axis)
        if self.pooled_interneuron:
            both = both + functional.pooled_conductances(both, self.channel_axis)
        E, I = both.chunk(2, self.channel_axis)
        return E, I

    def forward(self, p: Tensor, extra_conductances: Tensor | None = None, *, shortcut: Tensor | None = None) -> Tensor:
        """Open probabilities in [0, 1] to open probabilities p, or to membrane potentials z in [-1, 1].

        Args:
            p: of the presynaptic channels.
            extra_conductances: from elsewhere, which join the average: E' of all units, then I', along the channels,
                as a layer with ``average=False`` returns them.
            shortcut: of a residual block, for a layer that gives z by one average: the result is then the block's
                p = max((z + shortcut) / 2, 0) instead of z, see `nn.shortcut.mean_with_shortcut`.
        """
        if isinstance(p, Proxy):
            return record_call(self, p, extra_conductances)
        both = self.open_conductances(p, extra_conductances)
        if shortcut is not None:
            return kernels.joined_average(both, shortcut, self.channel_axis, kernels.low_precision(p, self.leak.pair))
        return self.respond(both, p) if self.average else kernels.dense(both, self.channel_axis)

    @property
    def takes_shortcut(self) -> bool:
        """Whether its units give z by one average and nothing else, so that a shortcut can join them."""
        kind = type(self)
        plain = kind.forward is AveragingLayer.forward and kind.respond is AveragingLayer.respond
        plain = plain and self.average and self.activation is None
        return plain and not (self.pooled_interneuron or self.detached_denominator)

    def respond(self, conductances: kernels.Sums, p: Tensor) -> Tensor:
        """From E' of all units, then I', to z or p, in the precision in which the input came."""
        # E' and I' come in float32 where the input is in half precision; the result goes on in the input's way.
        dtype = kernels.low_precision(p, self.leak.pair)
        rectify = self.activation == "relu" and self.gate is None
        pooled, axis = self.pooled_interneuron, self.channel_axis
        if self.detached_denominator:
            both = kernels.dense(conductances, axis)
            z = functional.detached_membrane_potential(both, axis, rectify and not pooled, None if pooled else dtype)
            z = kernels.pool(z, axis, rectify, dtype) if pooled else z
        else:
            z = (kernels.pooled_average if pooled else kernels.average)(conductances, axis, rectify, dtype)
        return z if self.gate is None else self.gate(z)

    # What the parameters mean -----------------------------------------------------------------------------------------

    def description(self) -> dict[str, Any]:
        """What the parameters mean; saved with them, and compared when they are loaded (`nn.state`)."""
        pooled = {"pooled_interneuron": True} if self.pooled_interneuron else {}
        return {"learn_resting": self.learn_resting, **pooled}

    def get_extra_state(self) -> Tensor:
        """The description as torch keeps it in a state dict."""
        return state.encode(self.description())

    def set_extra_state(self, saved: Tensor) -> None:
        """Nothing is left to set: the description was compared before any parameter was loaded."""

    def _load_from_state_dict(
        self,
        state_dict: Mapping[str, Any],
        prefix: str,
        local_metadata: Mapping[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        key = prefix + _EXTRA_STATE
        name = prefix.removesuffix(".")
        if key in state_dict:
            problem = self._difference(name, state_dict[key])
        else:
            problem = self._judge_unlabeled(name, state_dict, prefix)
        if problem is not None:
            error_msgs.append(problem)
            return
        problems = len(error_msgs)
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )
        if key in missing_keys:
            missing_keys.remove(key)
        if key not in state_dict and f"{prefix}g" in state_dict and len(error_msgs) == problems:
            warnings.warn(
                "a state dict of version 0.1 does not say what its parameters mean; they are taken as those of a layer "
                "with this one's form and valences. Save the model again to keep that with them",
                UserWarning,
                stacklevel=2,
            )

    def _difference(self, name: str, saved: Tensor) -> str | None:
        try:
            return state.difference(name, state.decode(saved), self.description())
        except (ValueError, AttributeError, TypeError) as error:
            return f"{name}: its {_EXTRA_STATE} cannot be read: {error}"

    def _judge_unlabeled(self, name: str, state_dict: Mapping[str, Any], prefix: str) -> str | None:
        """Why a state dict of 0.1, which does not say what its parameters mean, is refused; None if it is not."""
        del name, state_dict, prefix
        return None

    def extra_repr(self) -> str:
        """Sizes, and every option that differs from its default."""
        parts = [f"{self.in_channels} -> {self.out_channels}"]
        parts += [f"{name}={value}" for name, value in self.convolution.items() if value not in (0, 1, (0,), (1,))]
        options: dict[str, tuple[object, object]] = {  # each with its default
            "activation": (self.activation, "relu"),
            "average": (self.average, True),
            "pooled_interneuron": (self.pooled_interneuron, False),
            "learn_resting": (self.learn_resting, False),
            "learn_gate": (isinstance(self.gate, Gate), False),
            "detached_denominator": (self.detached_denominator, False),
            "resting_conductance": (self.initial_resting[0], None),
            "resting_potential": (self.initial_resting[1], 0.0),
        }
        parts += [f"{name}={value!r}" for name, (value, default) in options.items() if value != default]
        return ", ".join(parts)


def check_pool(units: int, average: bool = True) -> None:
    """Insist on units whose mean potential an interneuron can take away.

    Raises:
        InputError: there is a single one, or they have no potentials.
    """
    if not average:
        raise InputError(
            "pooled_interneuron=True: a layer with average=False hands on sums and has no potentials; give the "
            "interneuron to the layer that averages them"
        )
    if units < 2:
        raise InputError("pooled_interneuron=True: a single unit is its own mean, so nothing would be left of it")


def check_sizes(in_channels: int, out_channels: int, convolution: Mapping[str, Any]) -> int:
    """The number of groups, which must divide the channels.

    Raises:
        InputError: it does not.
    """
    groups: int = convolution.get("groups", 1)
    for name, channels in (("in_channels", in_channels), ("out_channels", out_channels)):
        if groups < 1 or channels < 1 or channels % groups:
            raise InputError(f"{name}={channels} cannot be divided into groups={groups}")
    return groups


def require_room(
    layer: str, shape: Sequence[int], channels: int, device: torch.device | str | None, dtype: torch.dtype | None
) -> None:
    """Refuse a layer that takes more memory than is free, before anything of it is made.

    Args:
        layer: its class.
        shape: of its synapses, (units, fan-in, *kernel).
        channels: how many it reads.
        device: where it is to be; valences are looked at on the CPU in any case.
        dtype: of its synapses.

    Raises:
        NotEnoughMemoryError: it does not fit.
    """
    synapses = math.prod(shape)
    size = (dtype or torch.get_default_dtype()).itemsize
    what, remedy = f"a {layer} of {synapses:,} synapses", "give it fewer units or channels"
    require_memory(_COPIES_AT_START * synapses * size, what, remedy, device or torch.get_default_device())
    require_memory(_VALENCES_AT_START * (channels + shape[0]), what, remedy)


def refuse_bias(bias: bool | None) -> None:
    """Answer those who ask for torch's bias.

    Raises:
        InputError: they want one.
    """
    if bias:
        raise InputError(
            "bias=True: a conductance layer has no bias; its leak stands in that place (resting_conductance, "
            "resting_potential, learn_resting=True to learn it). Leave bias out"
        )
