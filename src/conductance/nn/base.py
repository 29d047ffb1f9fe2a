"""What every conductance layer has: conductances, the valence of its inputs, a leak."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, Unpack

import torch
from torch import Tensor, nn
from torch.fx import Proxy

from conductance import functional, kernels
from conductance.errors import InputError, UnknownNameError
from conductance.nn.gates import FullRange, Gate
from conductance.nn.tracing import record_call
from conductance.nonnegative import NONNEGATIVE
from conductance.valence import Valence


class MembraneOptions(TypedDict, total=False):
    """What can be said of the units of any averaging layer, by keyword."""

    resting_conductance: float | Tensor
    resting_potential: float | Tensor
    learn_resting: bool
    activation: str | None
    average: bool
    learn_gate: bool
    detached_denominator: bool
    device: torch.device | str | None
    dtype: torch.dtype | None


class ConductanceOptions(MembraneOptions, total=False):
    """What can be said of a conductance layer besides, by keyword."""

    valence: float | Sequence[float] | Tensor | None
    doubled_input: bool
    nonnegative: str


# One that cuts nothing off.
FULL_RANGE = "full_range"

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
        self.form = nonnegative if learn else "projected"
        self.least = LEAST_LEARNT_LEAK if learn else 0.0
        dtype = dtype or torch.get_default_dtype()
        with torch.device("cpu"):  # the values are checked, wherever the layer is to live
            G_r = torch.as_tensor(resting_conductance, dtype=torch.float64).detach().cpu()
            e_r = torch.as_tensor(resting_potential, dtype=torch.float64).detach().cpu()
            _check_leak(G_r, e_r, units)
            pair = functional.leak_pair(G_r.clamp(min=functional.smallest_leak(dtype)), e_r, units)
            self._start = NONNEGATIVE[self.form].parameter((pair - self.least).clamp(min=0)).to(dtype)
        pair = self._start.to(device or torch.get_default_device(), copy=True)
        if learn:
            self.pair = nn.Parameter(pair)
        else:
            self.register_buffer("pair", pair)

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """As it was made."""
        self.pair.copy_(self._start)

    def forward(self) -> Tensor:
        """The leak's excitatory and inhibitory conductance, (2, units)."""
        return NONNEGATIVE[self.form].conductance(self.pair) + self.least

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


class _AveragingLayer(nn.Module):
    """A layer of units that average what they receive: sizes, leak, activation and the sum over synapses."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        convolution: Mapping[str, Any],
        *,
        nonnegative: str = "rectified",
        resting_conductance: float | Tensor = 1.0,
        resting_potential: float | Tensor = 0.0,
        learn_resting: bool = False,
        activation: str | None = None,
        average: bool = True,
        learn_gate: bool = False,
        detached_denominator: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        if nonnegative not in NONNEGATIVE:
            raise UnknownNameError("way to keep conductances non-negative", nonnegative, NONNEGATIVE)
        if activation != FULL_RANGE:
            functional.require_activation(activation)
        groups = convolution.get("groups", 1)
        for name, channels in (("in_channels", in_channels), ("out_channels", out_channels)):
            if groups < 1 or channels < 1 or channels % groups:
                raise InputError(f"{name}={channels} cannot be divided into groups={groups}")
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.channel_axis = -1 if not convolution else -1 - len(convolution["stride"])
        self.activation = activation
        self.average = average
        self.detached_denominator = detached_denominator
        self.convolution = dict(convolution)
        self.synaptic_sum = functional.SynapticSum(**self.convolution)
        self.leak = Leak(
            out_channels,
            resting_conductance,
            resting_potential,
            learn=learn_resting,
            nonnegative=nonnegative,
            device=device,
            dtype=dtype,
        )
        self.gate: Gate | FullRange | None = FullRange() if activation == FULL_RANGE else None
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
        """The conductances as the products read them, see `functional.pack`."""
        raise NotImplementedError

    def synaptic_sums(self, p: Tensor) -> Tensor | kernels.SplitSums:
        """What `open_conductances` gives, in half precision in parts, see `functional.synaptic_sums`."""
        raise NotImplementedError

    def averaged(self, p: Tensor, extra_conductances: Tensor | None = None) -> Tensor | kernels.SplitSums:
        """What the units average in the end: E' of all units, then I', with what is ``extra_conductances`` open."""
        return self.synaptic_sums(p) if extra_conductances is None else self.open_conductances(p) + extra_conductances

    def open_conductances(self, p: Tensor) -> Tensor:
        """E' of all units, then I', along the channels, leak included: (..., 2 * out, *positions)."""
        return kernels.dense(self.synaptic_sums(p), self.channel_axis)

    def excitation_inhibition(self, p: Tensor) -> tuple[Tensor, Tensor]:
        """E' and I', the excitatory and inhibitory conductance open at each unit, leak included."""
        E, I = self.open_conductances(p).chunk(2, self.channel_axis)
        return E, I

    def forward(self, p: Tensor, extra_conductances: Tensor | None = None) -> Tensor:
        """Open probabilities in [0, 1] to membrane potentials z in [-1, 1], or to open probabilities p.

        Args:
            p: of the presynaptic channels.
            extra_conductances: from elsewhere, which join the average: E' of all units, then I', along the
                channels.
        """
        if isinstance(p, Proxy):
            return record_call(self, p, extra_conductances)
        sums = self.averaged(p, extra_conductances)
        return self.respond(sums, p) if self.average else kernels.dense(sums, self.channel_axis)

    def respond(self, sums: Tensor | kernels.SplitSums, p: Tensor) -> Tensor:
        """From E' of all units, then I', to z or p, in the precision in which the input came."""
        # E' and I' come in float32 where the input is in half precision; the result goes on in the input's way.
        dtype = functional.low_precision(p, self.leak.pair)
        rectify = self.activation == "relu" and self.gate is None
        if self.detached_denominator:
            both = kernels.dense(sums, self.channel_axis)
            z = functional.detached_membrane_potential(both, self.channel_axis, rectify, dtype)
        else:
            z = kernels.average(sums, self.channel_axis, rectify, dtype)
        return z if self.gate is None else self.gate(z)

    def extra_repr(self) -> str:
        """Sizes and options, as torch's layers show theirs."""
        parts = [f"{self.in_channels} -> {self.out_channels}"]
        parts += [f"{name}={value}" for name, value in self.convolution.items() if value not in (0, 1, (0,), (1,))]
        return ", ".join([*parts, f"activation={self.activation}"])


class ConductanceLayer(_AveragingLayer):
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
        valence: float | Sequence[float] | Tensor | None = None,
        doubled_input: bool = False,
        nonnegative: str = "rectified",
        **membrane: Unpack[MembraneOptions],
    ) -> None:
        super().__init__(in_channels, out_channels, convolution, nonnegative=nonnegative, **membrane)
        self.nonnegative = nonnegative
        self.doubled_input = doubled_input
        device, dtype, groups = membrane.get("device"), membrane.get("dtype"), self.groups
        self.presynaptic = Valence(
            valence, in_channels, groups=groups, doubled_input=doubled_input, device=device, dtype=dtype
        )
        fan_in = in_channels // groups * (2 if doubled_input else 1)
        self.g = nn.Parameter(torch.empty(out_channels, fan_in, *kernel_size, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """The paper's initialization: Glorot-uniform around 1 (section 4.3), and leak and valences as they were given.

        So a layer made on the meta device can be filled: ``to_empty``, then this, or a state dict.
        """
        if not self.g.is_meta:
            self.presynaptic.refill()
            self.leak.reset_parameters()
            self.set_conductance(1 + nn.init.xavier_uniform_(torch.empty_like(self.g)).clamp(min=-1))

    @property
    def conductance(self) -> Tensor:
        """G >= 0 as used, (out, fan-in channels, *kernel); the excitatory copies of a doubled input come first."""
        return NONNEGATIVE[self.nonnegative].conductance(self.g)

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

    def packed(self) -> Tensor:
        """The conductances as the products read them, see `functional.pack`."""
        return functional.pack(self.conductance, self.presynaptic, self.synaptic_sum)

    def synaptic_sums(self, p: Tensor) -> Tensor | kernels.SplitSums:
        """E' of all units, then I', leak included."""
        return functional.synaptic_sums(p, self.conductance, self.presynaptic, self.leak(), self.synaptic_sum)

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
        name = f"{prefix}g"
        g = state_dict.get(name)
        if self.nonnegative == "projected" and g is not None and not g.is_meta and bool((g < 0).any()):
            error_msgs.append(
                f"{name} has negative values, so it was not saved by a layer of nonnegative='projected', whose g is "
                "the conductance itself; make the layer with the form that was saved; set_conductance changes it"
            )
            return
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )

    def extra_repr(self) -> str:
        """Sizes and options, as torch's layers show theirs."""
        doubled = ", doubled_input=True" if self.doubled_input else ""
        return f"{super().extra_repr()}, nonnegative={self.nonnegative}{doubled}"


class SignedLayer(_AveragingLayer):
    """Signed synapses, normalized by their total size (AbsNorm, paper section 4.4).

    The base of `AbsNormLinear` and `AbsNormConv2d`, which say what the arguments are.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: tuple[int, ...],
        convolution: Mapping[str, Any],
        **membrane: Unpack[MembraneOptions],
    ) -> None:
        super().__init__(in_channels, out_channels, convolution, **membrane)
        shape = (out_channels, in_channels // self.groups, *kernel_size)
        self.weight = nn.Parameter(torch.empty(shape, device=membrane.get("device"), dtype=membrane.get("dtype")))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Glorot-uniform, as the paper's affine networks, and the leak as it was given."""
        self.leak.reset_parameters()
        nn.init.xavier_uniform_(self.weight)

    def packed(self) -> Tensor:
        """The positive parts of the weights, then the negative ones."""
        return functional.pack_signed(self.weight)

    def synaptic_sums(self, p: Tensor) -> Tensor | kernels.SplitSums:
        """E' of all units from the positive weights, then I' from the negative ones, leak included."""
        return functional.signed_synaptic_sums(p, self.weight, self.leak(), self.synaptic_sum)
