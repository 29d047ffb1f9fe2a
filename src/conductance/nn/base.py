"""What every averaging layer has: conductances, the valence of its inputs, a leak."""

import math
import warnings
from collections.abc import Mapping
from typing import Any, TypedDict

import torch
from torch import Tensor, nn
from torch.fx import Proxy

from conductance import functional, kernels
from conductance.errors import InputError
from conductance.functional import Activation
from conductance.nn import start, state
from conductance.nn.gates import FullRange, Gate
from conductance.nn.leak import Leak
from conductance.nn.tracing import record_call
from conductance.nonnegative import NONNEGATIVE, NonnegativeForm, require_form
from conductance.valence import Valence, Valences, excitatory_first

# G_r where nobody chooses it, as a share of the conductance that all synapses of a unit have at the start.
LEAK_SHARE = 0.01

_EXTRA_STATE = "_extra_state"


class MembraneOptions(TypedDict, total=False):
    """Keyword options shared by all averaging layers."""

    resting_conductance: float | Tensor | None
    resting_potential: float | Tensor
    learn_resting: bool
    activation: Activation | None
    average: bool
    learn_gate: bool
    detached_denominator: bool
    device: torch.device | str | None
    dtype: torch.dtype | None


class ConductanceOptions(MembraneOptions, total=False):
    """Keyword options of conductance layers."""

    valence: Valences | None
    excitatory_share: float | None
    unit_valence: Valences | None
    doubled_input: bool | None
    nonnegative: NonnegativeForm


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
        self.learn_resting = learn_resting
        self.detached_denominator = detached_denominator
        self.convolution = dict(convolution)
        self.synaptic_sum = kernels.SynapticSum(**self.convolution)
        self._resting = tuple(
            "per unit" if isinstance(value, Tensor) and value.numel() > 1 else None if value is None else float(value)
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

    def synaptic_conductances(self, p: Tensor) -> Tensor | kernels.SplitSums:
        """E' of all units, then I', from this layer's own synapses and leak; in half precision in parts."""
        return kernels.open_conductances(p, self.packed(), self._presynaptic(), self.leak(), self.synaptic_sum)

    def _presynaptic(self) -> Valence | None:
        """What the presynaptic channels are; None where the sign is the synapse's."""
        return None

    def open_conductances(self, p: Tensor, extra_conductances: Tensor | None = None) -> Tensor | kernels.SplitSums:
        """What the units average: E' of all units, then I', along the channels, with all that joins them."""
        own = self.synaptic_conductances(p)
        return own if extra_conductances is None else kernels.dense(own, self.channel_axis) + extra_conductances

    def excitation_inhibition(self, p: Tensor, extra_conductances: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """E' and I', the excitatory and inhibitory conductance open at each unit, (..., out, *positions)."""
        both = kernels.dense(self.open_conductances(p, extra_conductances), self.channel_axis)
        E, I = both.chunk(2, self.channel_axis)
        return E, I

    def forward(self, p: Tensor, extra_conductances: Tensor | None = None) -> Tensor:
        """Open probabilities in [0, 1] to open probabilities p, or to membrane potentials z in [-1, 1].

        Args:
            p: of the presynaptic channels.
            extra_conductances: from elsewhere, which join the average: E' of all units, then I', along the channels,
                as a layer with ``average=False`` returns them.
        """
        if isinstance(p, Proxy):
            return record_call(self, p, extra_conductances)
        both = self.open_conductances(p, extra_conductances)
        return self.respond(both, p) if self.average else kernels.dense(both, self.channel_axis)

    def respond(self, conductances: Tensor | kernels.SplitSums, p: Tensor) -> Tensor:
        """From E' of all units, then I', to z or p, in the precision in which the input came."""
        # E' and I' come in float32 where the input is in half precision; the result goes on in the input's way.
        dtype = kernels.low_precision(p, self.leak.pair)
        rectify = self.activation == "relu" and self.gate is None
        if self.detached_denominator:
            both = kernels.dense(conductances, self.channel_axis)
            z = functional.detached_membrane_potential(both, self.channel_axis, rectify, dtype)
        else:
            z = kernels.average(conductances, self.channel_axis, rectify, dtype)
        return z if self.gate is None else self.gate(z)

    # What the parameters mean -----------------------------------------------------------------------------------------

    def description(self) -> dict[str, Any]:
        """What the parameters mean; saved with them, and compared when they are loaded (`nn.state`)."""
        return {"layer": "signed", "learn_resting": self.learn_resting}

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
        """What is certain to be wrong with a state dict of 0.1, which did not say what parameters mean."""
        del name, state_dict, prefix
        return None

    def extra_repr(self) -> str:
        """Sizes, and every option that differs from its default."""
        parts = [f"{self.in_channels} -> {self.out_channels}"]
        parts += [f"{name}={value}" for name, value in self.convolution.items() if value not in (0, 1, (0,), (1,))]
        options: dict[str, tuple[object, object]] = {
            "activation": (self.activation, "relu"),
            "average": (self.average, True),
        }
        options |= {"learn_resting": (self.learn_resting, False), "learn_gate": (isinstance(self.gate, Gate), False)}
        options |= {"detached_denominator": (self.detached_denominator, False)}
        options |= {"resting_conductance": (self._resting[0], None), "resting_potential": (self._resting[1], 0.0)}
        parts += [f"{name}={value!r}" for name, (value, default) in options.items() if value != default]
        return ", ".join(parts)


class ConductanceLayer(AveragingLayer):
    """Non-negative conductances from presynaptic channels that excite or inhibit (paper eq. 3 and 6).

    The base of `CWALinear` and `CWAConv1d`, `CWAConv2d`, `CWAConv3d`, which say what the arguments are.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: tuple[int, ...],
        convolution: Mapping[str, Any],
        *,
        valence: Valences | None = None,
        excitatory_share: float | None = None,
        unit_valence: Valences | None = None,
        doubled_input: bool | None = None,
        nonnegative: str = "clamped",
        **membrane: Any,
    ) -> None:
        groups = check_sizes(in_channels, out_channels, convolution)
        if doubled_input is None:  # of a single channel nothing could be excitatory and inhibitory
            doubled_input = in_channels == groups and valence is None and excitatory_share is None
        fan_in = in_channels // groups * (2 if doubled_input else 1)
        form = require_form(nonnegative)
        super().__init__(
            in_channels,
            out_channels,
            convolution,
            typical_total=fan_in * math.prod(kernel_size),
            nonnegative=form,
            **membrane,
        )
        self.nonnegative = form
        self.doubled_input = doubled_input
        device, dtype = membrane.get("device"), membrane.get("dtype")
        self.presynaptic = Valence(
            valence,
            in_channels,
            excitatory_share=excitatory_share,
            groups=groups,
            doubled_input=doubled_input,
            may_be_one_sided=not self.average,  # the units have other synapses besides
            device=device,
            dtype=dtype,
        )
        self.unit_valence = check_unit_valence(unit_valence, out_channels)
        self.g = nn.Parameter(torch.empty(out_channels, fan_in, *kernel_size, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the conductances anew (`nn.start`) and set the leak as it was given.

        Log-normal conductances of mean 1, inhibitory units as twins of excitatory ones, and in each unit as much
        inhibition as excitation. No data is needed. (`init.glorot_` is the paper's start.) A layer made on the meta
        device is filled by ``to_empty``, then this, or by a state dict.
        """
        if not self.g.is_meta:
            self.leak.reset_parameters()
            if self.gate is not None:
                self.gate.reset_parameters()
            with torch.no_grad():
                self.set_conductance(start.default_start(self.g, self.presynaptic, self.unit_valence))

    @property
    def conductance(self) -> Tensor:
        """G >= 0 as used, (out, fan-in channels, *kernel); the excitatory copies of a doubled input come first.

        A synapse that `torch.nn.utils.prune` has cut has G = 0.
        """
        G = NONNEGATIVE[self.nonnegative].conductance(self.g)
        mask = self._buffers.get("g_mask")
        return G if mask is None else G * mask

    @property
    def weight(self) -> Tensor:
        """`conductance`, by the name that code for torch's own layers asks for; to set it, use `set_conductance`."""
        return self.conductance

    @property
    def bias(self) -> None:
        """None: the leak stands in its place."""
        return

    @property
    def valence(self) -> Tensor:
        """e in [-1, 1] of each presynaptic channel, (in,), or (2 * in,) for a doubled input."""
        return self.presynaptic.values

    @property
    def fan_in(self) -> int:
        """How many synapses each unit has."""
        return math.prod(self.g.shape[1:])

    @torch.no_grad()
    def set_conductance(self, conductance: Tensor) -> None:
        """Set G, whichever form the parameter has.

        Args:
            conductance: G >= 0 of the shape of ``conductance``, or one that broadcasts to it.

        Raises:
            InputError: a shape that does not fit, or a value that is negative, infinite or NaN; or the parameter is
                computed from another (`torch.nn.utils.parametrize`, pruning).
        """
        if "g" not in self._parameters:
            raise InputError(
                "this layer's g is computed from another parameter, so its conductances cannot be set; set them first, "
                "then parametrize or prune"
            )
        G = torch.as_tensor(conductance, dtype=self.g.dtype, device=self.g.device)
        try:
            G = G.expand_as(self.g)
        except RuntimeError:
            raise InputError(f"conductance has shape {tuple(G.shape)}; this layer's is {tuple(self.g.shape)}") from None
        if not bool(((G >= 0) & G.isfinite()).all()):
            raise InputError(
                f"conductances must be finite and not negative, but {int((~(G >= 0)).sum())} of {G.numel()} values "
                f"are negative or NaN and {int(G.isinf().sum())} infinite; an inhibitory synapse is a positive "
                "conductance from a channel of valence -1"
            )
        self.g.copy_(NONNEGATIVE[self.nonnegative].parameter(G))

    def set_valence(self, valence: Valences) -> None:
        """Say anew what each presynaptic channel is, one value in [-1, 1] each; the conductances stay.

        Raises:
            InputError: another number of values, or one outside [-1, 1].
        """
        old = self.presynaptic
        self.presynaptic = Valence(
            valence,
            self.in_channels,
            groups=self.groups,
            doubled_input=self.doubled_input,
            may_be_one_sided=not self.average,
            device=old.values.device,
            dtype=old.values.dtype,
        )

    def set_unit_valence(self, valence: Valences) -> None:
        """Say anew what each of this layer's own units is; `assign_valences` tells those that read them.

        Raises:
            InputError: another number of values, or one outside [-1, 1].
        """
        self.unit_valence = check_unit_valence(valence, self.out_channels)

    def packed(self) -> Tensor:
        """The conductances in the order that the products read, see `kernels.pack`."""
        return kernels.pack(self.conductance, self.presynaptic, self.synaptic_sum)

    def _presynaptic(self) -> Valence:
        return self.presynaptic

    def description(self) -> dict[str, Any]:
        """What the parameters mean: form, valences, doubled input, kind of leak."""
        return {
            **super().description(),
            "layer": "conductance",
            "nonnegative": self.nonnegative,
            "doubled_input": self.doubled_input,
            "valence": [list(run) for run in self.presynaptic.runs],
        }

    def _judge_unlabeled(self, name: str, state_dict: Mapping[str, Any], prefix: str) -> str | None:
        g = state_dict.get(f"{prefix}g")
        if g is None:
            return None
        if self.nonnegative == "clamped" and not g.is_meta and bool((g < 0).any()):
            return (
                f"{name}.g has negative values and does not say what they mean; version 0.1 saved such ones in other "
                'forms alone: make the layer with that form, such as nonnegative="rectified"'
            )
        return None

    def extra_repr(self) -> str:
        """Sizes, and every option that differs from its default."""
        parts = [super().extra_repr()]
        if self.nonnegative != "clamped":
            parts.append(f"nonnegative={self.nonnegative!r}")
        if self.doubled_input:
            parts.append("doubled_input=True")
        return ", ".join(parts)


class SignedLayer(AveragingLayer):
    """Signed synapses, normalized by their total size (AbsNorm, paper section 4.4).

    The base of `AbsNormLinear` and `AbsNormConv2d`, which say what the arguments are.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: tuple[int, ...],
        convolution: Mapping[str, Any],
        **membrane: Any,
    ) -> None:
        groups = check_sizes(in_channels, out_channels, convolution)
        field = math.prod(kernel_size)
        fan_in, fan_out = in_channels // groups * field, out_channels * field
        mean_size = math.sqrt(6 / (fan_in + fan_out)) / 2  # of Glorot-uniform weights
        super().__init__(in_channels, out_channels, convolution, typical_total=fan_in * mean_size, **membrane)
        shape = (out_channels, in_channels // groups, *kernel_size)
        self.weight = nn.Parameter(torch.empty(shape, device=membrane.get("device"), dtype=membrane.get("dtype")))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Glorot-uniform, as the paper's affine networks, and the leak as it was given."""
        self.leak.reset_parameters()
        if self.gate is not None:
            self.gate.reset_parameters()
        nn.init.xavier_uniform_(self.weight)

    def packed(self) -> Tensor:
        """The positive parts of the weights, then the negative ones."""
        return kernels.pack_signed(self.weight)


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


def check_unit_valence(unit_valence: Valences | None, units: int) -> Tensor:
    """The valence of a layer's own units, (units,), float64 on the CPU; the first half excites by default.

    Raises:
        InputError: another number of values, or one outside [-1, 1].
    """
    if unit_valence is None:
        return excitatory_first(units)
    with torch.device("cpu"):
        values = torch.as_tensor(unit_valence, dtype=torch.float64).detach().cpu()
    if values.shape != (units,):
        raise InputError(f"unit_valence has shape {tuple(values.shape)}; give one value for each of {units} units")
    if not bool((values.abs() <= 1).all()):
        raise InputError("unit_valence must lie in [-1, 1]: -1 is the lowest reversal potential, +1 the highest")
    return values


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
