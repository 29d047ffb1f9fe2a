r"""Conductance-weighted averaging: the equation, once; every layer calls it.

A postsynaptic unit i with presynaptic open probabilities :math:`p_j \in [0, 1]`, conductances :math:`G_{ij} \ge 0`
and valences :math:`e_j \in [-1, 1]` sits at (paper eq. 1, 3 and 6, rescaled)

.. math:: z_i = \frac{G_r e_r + \sum_j G_{ij} e_j p_j}{G_r + \sum_j G_{ij} p_j}, \qquad p_i = \max(z_i, 0).

A synapse of valence e is a pair of synapses of valence +1 and -1 with conductances G (1 + e)/2 and G (1 - e)/2, and
the leak is such a pair that is always open. With E' and I' the two sums, leak included,

.. math:: z = \frac{E' - I'}{E' + I'},

so the leak is the *bias* of two products, and where e is +1 or -1 each product needs only its own half of the
channels: together they cost one affine layer, not the two of eq. 6.

Nothing here looks at the values of its arguments (that would stop a GPU, a compiler or ``vmap`` at every step):
conductances must be non-negative, open probabilities in [0, 1]. The layers of `conductance.nn` see to the first.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from conductance import kernels
from conductance.errors import InputError
from conductance.valence import Valence

# With no leak and no open synapse z would be 0/0. This floor makes it e_r, and is lost beside any real conductance.
# (In float16 it is the smallest normal number, 6e-5.)
SMALLEST_LEAK = 1e-30

ACTIVATIONS = (None, "relu")

# What `cwa` shows its p and its conductance to; `analysis.validate` puts its checks here for a while.
checks: list[Callable[[Tensor, Tensor], None]] = []


def membrane_potential(
    excitation: Tensor, inhibition: Tensor, activation: str | None = None, dtype: torch.dtype | None = None
) -> Tensor:
    """The steady state z = (E' - I') / (E' + I') in [-1, 1], or the open probability p = max(z, 0) in [0, 1].

    Args:
        excitation: E' > 0, the excitatory conductance that is open, leak included; any shape.
        inhibition: I' > 0, the inhibitory one; same shape.
        activation: None for z, ``"relu"`` for p (paper eq. 4), in the same step of autograd.
        dtype: type of the result, that of ``excitation`` by default. The division is done in the inputs' own type.

    Raises:
        InputError: an activation other than these, or two shapes.
    """
    require_activation(activation)
    if excitation.shape != inhibition.shape:
        shapes = f"{tuple(excitation.shape)} and {tuple(inhibition.shape)}"
        raise InputError(f"excitation and inhibition have the shapes {shapes}; give both of every unit")
    if excitation.ndim == 0:
        return membrane_potential(excitation[None], inhibition[None], activation, dtype)[0]
    return kernels.average(torch.cat([excitation, inhibition], -1), -1, activation == "relu", dtype)


def detached_membrane_potential(
    conductances: Tensor, axis: int, rectify: bool = False, dtype: torch.dtype | None = None
) -> Tensor:
    r"""The value of z, with the denominator taken for a constant in the backward pass.

    .. math:: \frac{\partial z}{\partial E'} = \frac{1}{D}, \qquad \frac{\partial z}{\partial I'} = -\frac{1}{D},

    the gradient of subtractive inhibition, without the shunting that draws every unit towards 0 as its total grows.

    Args:
        conductances: E' of all units, then I', along ``axis``, as `open_conductances` gives them.
        axis: counted from the end.
        rectify: p = max(z, 0) instead of z.
        dtype: type of the result, that of ``conductances`` by default.
    """
    E, I = conductances.chunk(2, axis)
    z = (E - I) / (E + I).detach()
    return (z.relu() if rectify else z).to(dtype or conductances.dtype)


def require_activation(activation: str | None) -> None:
    """Insist on an activation that `membrane_potential` has.

    Raises:
        InputError: it is another one.
    """
    if activation not in ACTIVATIONS:
        raise InputError(
            f"activation={activation!r}: choose None (membrane potential z in [-1, 1]) or 'relu' (open probability p "
            "in [0, 1]); layers have 'full_range' and 'open' too"
        )


def leak_pair(
    resting_conductance: float | Tensor,
    resting_potential: float | Tensor,
    units: int,
    *,
    like: Tensor | None = None,
) -> Tensor:
    """The leak as two always-open synapses: (2, units), G_r (1 + e_r)/2 excitatory and G_r (1 - e_r)/2 inhibitory."""
    dtype, device = (None, None) if like is None else (like.dtype, like.device)
    G_r = torch.as_tensor(resting_conductance, dtype=dtype, device=device)
    G_r = G_r.clamp(min=smallest_leak(G_r.dtype))
    e_r = torch.as_tensor(resting_potential, dtype=dtype, device=device)
    return torch.stack([(G_r * (1 + e_r) / 2).expand(units), (G_r * (1 - e_r) / 2).expand(units)])


def smallest_leak(dtype: torch.dtype) -> float:
    """`SMALLEST_LEAK`, or what is nearest to it in a type that ends before."""
    return max(SMALLEST_LEAK, torch.finfo(dtype).tiny) if dtype.is_floating_point else SMALLEST_LEAK


def excitation_inhibition(
    p: Tensor, conductance: Tensor, valence: Valence, leak: Tensor, synaptic_sum: "SynapticSum"
) -> tuple[Tensor, Tensor]:
    """The two conductances that compete for each unit: E' and I', leak included.

    Args:
        p: open probabilities, (..., C) for a linear layer, (..., C, *positions) for a convolution.
        conductance: G >= 0, (out, fan-in, *kernel); for a doubled input (out, 2 * fan-in, *kernel), the excitatory
            copies first.
        valence: what each presynaptic channel is.
        leak: (2, out), see `leak_pair`.
        synaptic_sum: linear, or a convolution with its options.
    """
    E, I = open_conductances(p, conductance, valence, leak, synaptic_sum).chunk(2, channel_axis(conductance))
    return E, I


def open_conductances(
    p: Tensor, conductance: Tensor, valence: Valence, leak: Tensor, synaptic_sum: "SynapticSum"
) -> Tensor:
    """E' of all units, then I' of all units, along the channels: (..., 2 * out, *positions).

    Arguments as for `excitation_inhibition`.
    """
    return kernels.dense(synaptic_sums(p, conductance, valence, leak, synaptic_sum), channel_axis(conductance))


def synaptic_sums(
    p: Tensor, conductance: Tensor, valence: Valence, leak: Tensor, synaptic_sum: "SynapticSum"
) -> Tensor | kernels.SplitSums:
    """`open_conductances`, as one tensor; in half precision in parts, as `kernels.average` takes them."""
    return packed_synaptic_sums(p, pack(conductance, valence, synaptic_sum), valence, leak, synaptic_sum)


def pack(conductance: Tensor, valence: Valence, synaptic_sum: "SynapticSum") -> Tensor:
    """The conductances in the order that the products read: what is the same for every p, done apart from it.

    Returns:
        (2 * out, ...) where one product gives E and I of all units, those of E first; else (out, fan-in, *kernel),
        sorted by valence.
    """
    if valence.is_default_pair:
        return conductance if conductance.ndim == 2 else torch.cat(conductance.chunk(2, 1))
    if valence.doubled_input or not valence.class_values:
        return torch.cat(_as_pairs(conductance, valence))
    if valence.fan_in_order is not None:
        conductance = conductance.index_select(1, valence.fan_in_order)
    if valence.class_values == (1.0, -1.0) and synaptic_sum.takes_halves_as_groups(conductance, valence.class_sizes):
        return torch.cat(conductance.chunk(2, 1))
    return conductance


def packed_synaptic_sums(
    p: Tensor, packed: Tensor, valence: Valence, leak: Tensor, synaptic_sum: "SynapticSum"
) -> Tensor | kernels.SplitSums:
    """`synaptic_sums` from what `pack` gives.

    Raises:
        InputError: p has more or fewer channels than there are valences.
    """
    axis = channel_axis(packed)
    if p.ndim < -axis or p.shape[axis] != valence.channels:
        raise InputError(
            f"p has the shape {tuple(p.shape)}; its axis {axis} must hold the {valence.channels} presynaptic channels"
        )
    if valence.doubled_input or not valence.class_values:
        return synaptic_sum.shared(p, packed, leak)
    if valence.order is not None:
        p = p.index_select(axis, valence.order)
    if valence.class_values == (1.0, -1.0):
        return synaptic_sum.split(p, packed, leak, valence.class_sizes[0])
    return _by_class(p, packed, valence, leak, synaptic_sum)


def _as_pairs(conductance: Tensor, valence: Valence) -> tuple[Tensor, Tensor]:
    """Every synapse as an excitatory and an inhibitory one: two tensors (out, fan-in, *kernel)."""
    e = valence.per_synapse(conductance)
    excitatory, inhibitory = conductance * ((1 + e) / 2), conductance * ((1 - e) / 2)
    if not valence.doubled_input:
        return excitatory, inhibitory
    fan_in = conductance.shape[1] // 2  # both copies read the same input, so their conductances add
    return (
        excitatory[:, :fan_in] + excitatory[:, fan_in:],
        inhibitory[:, :fan_in] + inhibitory[:, fan_in:],
    )


def _by_class(p: Tensor, conductance: Tensor, valence: Valence, leak: Tensor, synaptic_sum: "SynapticSum") -> Tensor:
    """One product for each distinct valence, over its own channels alone."""
    axis = channel_axis(conductance)
    inputs = p.split([size * valence.groups for size in valence.class_sizes], axis)
    weights = conductance.split(list(valence.class_sizes), 1)
    sums = [synaptic_sum(x, G, None) for x, G in zip(inputs, weights, strict=True)]
    leak = leak.view(2, -1, *(1,) * (conductance.ndim - 2))
    E = sum((S * ((1 + e) / 2) for S, e in zip(sums, valence.class_values, strict=True)), start=leak[0])
    I = sum((S * ((1 - e) / 2) for S, e in zip(sums, valence.class_values, strict=True)), start=leak[1])
    return torch.cat([E, I], axis)


def channel_axis(conductance: Tensor) -> int:
    """Channels come last for a linear layer, before the positions for a convolution, batch or no batch."""
    return 1 - conductance.ndim


def signed_synaptic_sums(
    p: Tensor, weight: Tensor, leak: Tensor, synaptic_sum: "SynapticSum"
) -> Tensor | kernels.SplitSums:
    """E' and I' of AbsNorm, z = (G_r e_r + sum_j W_ij p_j) / (G_r + sum_j |W_ij| p_j) (paper section 4.4).

    A signed weight is a synapse of either kind, so this is the same average, with E' from the positive part of W and
    I' from the negative part. Shapes as in `synaptic_sums`, ``weight`` of either sign.
    """
    return synaptic_sum.shared(p, pack_signed(weight), leak)


def pack_signed(weight: Tensor) -> Tensor:
    """The positive parts of all weights, then the negative parts: (2 * out, fan-in, *kernel)."""
    return torch.cat([weight.clamp(min=0), (-weight).clamp(min=0)])


# The products --------------------------------------------------------------------------------------------------------


class SynapticSum:
    """The sum over synapses with torch's convolution ``options`` (stride, padding, dilation, groups); none: linear.

    In half precision E' and I' are large and nearly equal, and rounding them would leave little of their difference.
    There each unit's conductances are split into their mean and the rest: the mean multiplies a sum of p that all
    units share, kept in float32, and only the rest goes through the low-precision product.
    """

    def __init__(self, **options: Any) -> None:
        self.options = options

    def __call__(self, p: Tensor, conductance: Tensor, bias: Tensor | None) -> Tensor:
        """Product of open probabilities with conductances (out, fan-in, *kernel), plus the bias (out,)."""
        return kernels.dense(self._sum(p, conductance, bias, self.options), channel_axis(conductance))

    def takes_halves_as_groups(self, conductance: Tensor, sizes: Sequence[int]) -> bool:
        """Whether the two kinds are the two groups of one convolution: as many channels of each, no groups yet."""
        return conductance.ndim > 2 and self.options.get("groups", 1) == 1 and sizes[0] == sizes[1]

    def split(self, p: Tensor, packed: Tensor, leak: Tensor, excitatory: int) -> Tensor | kernels.SplitSums:
        """E' of all units, then I': the first ``excitatory`` channels (of each group) excite, the others inhibit."""
        if _is_stacked(packed, leak):
            return self._sum(p, packed, leak.flatten(), {**self.options, "groups": 2})
        if self._is_plain_linear(p, packed):
            return kernels.paired_linear(p, packed, leak, excitatory)
        axis, groups = channel_axis(packed), self.options.get("groups", 1)
        to_E, to_I = packed.split([excitatory, packed.shape[1] - excitatory], 1)
        p_E, p_I = p.split([groups * excitatory, p.shape[axis] - groups * excitatory], axis)
        return self._one_after_the_other((p_E, to_E), (p_I, to_I), leak)

    def shared(self, p: Tensor, packed: Tensor, leak: Tensor) -> Tensor | kernels.SplitSums:
        """E' of all units, then I', each a sum over all of p, which is read once."""
        if not _is_stacked(packed, leak):
            if self._is_plain_linear(p, packed):
                return kernels.paired_linear(p, packed, leak, packed.shape[1] // 2)
            packed = torch.cat(packed.chunk(2, 1))
        if self.options.get("groups", 1) > 1:  # stacked on the output axis, the groups would mix
            to_E, to_I = packed.chunk(2)
            return self._one_after_the_other((p, to_E), (p, to_I), leak)
        return self._sum(p, packed, leak.flatten(), self.options)

    def _one_after_the_other(
        self, excitatory: tuple[Tensor, Tensor], inhibitory: tuple[Tensor, Tensor], leak: Tensor
    ) -> Tensor | kernels.SplitSums:
        E = self._sum(*excitatory, leak[0], self.options)
        I = self._sum(*inhibitory, leak[1], self.options)
        return kernels.joined(E, I, channel_axis(excitatory[1]))

    def _is_plain_linear(self, p: Tensor, conductance: Tensor) -> bool:
        return conductance.ndim == 2 and low_precision(p, conductance) is None

    def _sum(
        self, p: Tensor, conductance: Tensor, bias: Tensor | None, options: dict[str, Any]
    ) -> Tensor | kernels.SplitSums:
        if low_precision(p, conductance) is None:
            return _PLAIN[conductance.ndim](p, conductance, bias, **options)
        return _split_product(p, conductance, bias, options)


def _is_stacked(packed: Tensor, leak: Tensor) -> bool:
    """Whether the conductances to E of all units lie above those to I, see `pack`."""
    return len(packed) > leak.shape[1]


def low_precision(p: Tensor, conductance: Tensor) -> torch.dtype | None:
    """The half-precision type that a product of the two would be rounded to, None where it would not."""
    if torch.float64 in (p.dtype, conductance.dtype):  # which autocast leaves alone
        return None
    if torch.amp.is_autocast_available(p.device.type) and torch.is_autocast_enabled(p.device.type):
        dtype = torch.get_autocast_dtype(p.device.type)
    else:
        dtype = torch.promote_types(p.dtype, conductance.dtype)
    return dtype if dtype in (torch.bfloat16, torch.float16) else None


def _split_product(p: Tensor, conductance: Tensor, bias: Tensor | None, options: dict[str, Any]) -> kernels.SplitSums:
    plain, groups = _PLAIN[conductance.ndim], options.get("groups", 1)
    mean = conductance.detach().float().flatten(1).mean(1)
    rest = (conductance - mean.view(-1, *(1,) * (conductance.ndim - 1))).to(low_precision(p, conductance))
    axis = channel_axis(conductance)
    with torch.autocast(p.device.type, enabled=False):
        shared = p.unflatten(axis, (groups, -1)).sum(axis, dtype=torch.float32)
        if conductance.ndim > 2:
            window = torch.ones(groups, 1, *conductance.shape[2:], device=p.device)
            shared = plain(shared, window, None, **options)
    return kernels.SplitSums(
        plain(p, rest, None, **options), shared, mean, torch.zeros_like(mean) if bias is None else bias
    )


_PLAIN: dict[int, Callable[..., Tensor]] = {2: F.linear, 3: F.conv1d, 4: F.conv2d, 5: F.conv3d}


# The layer as a function ----------------------------------------------------------------------------------------------


def cwa(
    p: Tensor,
    conductance: Tensor,
    valence: Valence | float | Sequence[float] | Tensor | None = None,
    *,
    resting_conductance: float | Tensor = 1.0,
    resting_potential: float | Tensor = 0.0,
    doubled_input: bool = False,
    activation: str | None = None,
    **convolution: Any,
) -> Tensor:
    """Conductance-weighted average of all inputs (paper eq. 3), or of a receptive field in 1 to 3 dimensions (eq. 6).

    Args:
        p: open probabilities in [0, 1], (..., C) or (N, C, *positions).
        conductance: G >= 0, (out, fan-in) for all inputs, (out, fan-in, *kernel) for a convolution; fan-in is C/groups,
            twice as much for a doubled input.
        valence: as for `conductance.valence.Valence`; an instance of it saves sorting the channels at each call.
        resting_conductance: G_r >= 0, a number or (out,).
        resting_potential: e_r in [-1, 1], a number or (out,).
        doubled_input: read p as an excitatory and an inhibitory copy.
        activation: None for z in [-1, 1], ``"relu"`` for p in [0, 1].
        convolution: stride, padding, dilation, groups as in torch; padding adds closed synapses (p = 0).

    Returns:
        (..., out) or (N, out, *positions).

    Raises:
        InputError: see `Valence` and `membrane_potential`.
    """
    if not isinstance(valence, Valence):
        groups = convolution.get("groups", 1)
        channels = conductance.shape[1] * groups // (2 if doubled_input else 1)
        valence = Valence(
            valence,
            channels,
            groups=groups,
            doubled_input=doubled_input,
            device=conductance.device,
            dtype=conductance.dtype,
        )
    for check in checks:
        check(p, conductance)
    require_activation(activation)
    leak = leak_pair(resting_conductance, resting_potential, len(conductance), like=conductance)
    sums = synaptic_sums(p, conductance, valence, leak, SynapticSum(**convolution))
    return kernels.average(sums, channel_axis(conductance), activation == "relu", low_precision(p, conductance))
