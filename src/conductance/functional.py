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
from typing import Any, Literal

import torch
from torch import Tensor

from conductance import kernels
from conductance.checked import checked
from conductance.errors import InputError
from conductance.kernels import SMALLEST_LEAK, SynapticSum
from conductance.valence import Valence, Valences

Activation = Literal["relu", "full_range"]
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
        conductances: E' of all units, then I', along ``axis``, as `kernels.open_conductances` gives them.
        axis: counted from the end.
        rectify: p = max(z, 0) instead of z.
        dtype: type of the result, that of ``conductances`` by default.
    """
    E, I = conductances.chunk(2, axis)
    z = (E - I) / (E + I).detach()
    return (z.relu() if rectify else z).to(dtype or conductances.dtype)


def pooled_interneuron(
    potential: Tensor, axis: int = -1, activation: str | None = None, dtype: torch.dtype | None = None
) -> Tensor:
    r"""What a pooled interneuron leaves of its layer's membrane potentials.

    One interneuron at each position sits at the mean potential m of the layer's n units, excitatory and inhibitory
    alike, and acts back on all of them with a conductance of ``|m|`` times each unit's own total and the reversal
    potential of the sign of -m:

    .. math:: m = \frac{1}{n} \sum_i z_i, \qquad z'_i = \frac{z_i - m}{1 + |m|}, \qquad p_i = \max(z'_i, 0).

    That is eq. 1 with one more synapse for each unit. So z' is an average still, in [-1, 1], and the mean of a layer's
    units is 0 at every position, for every sample. It is the forward half of what BatchNorm does (its mean, taken over
    channels instead of images), done by a circuit: without a parameter, without statistics of a batch.

    Args:
        potential: z, (..., units) or ``(N, units, *positions)``.
        axis: of the units, counted from the end: -1 for a linear layer, -3 for images.
        activation: None for z', ``"relu"`` for p.
        dtype: type of the result, that of ``potential`` by default.

    Raises:
        InputError: an activation other than these.
    """
    require_activation(activation)
    return kernels.pool(potential, axis, activation == "relu", dtype)


def pooled_conductances(conductances: Tensor, axis: int, mean: Tensor | None = None) -> Tensor:
    r"""What a pooled interneuron adds to its layer's conductances: E' of all units, then I'.

    .. math:: E'_i \mathrel{+}= \max(-m, 0)\, D_i, \qquad I'_i \mathrel{+}= \max(m, 0)\, D_i, \qquad D_i = E'_i + I'_i

    Args:
        conductances: E' of all units, then I', along ``axis``, before the interneuron acts.
        axis: counted from the end.
        mean: m, one value along ``axis``; that of the conductances by default.
    """
    E, I = conductances.chunk(2, axis)
    m = ((E - I) / (E + I)).mean(axis, keepdim=True) if mean is None else mean
    return torch.cat([m.neg().relu() * (E + I), m.relu() * (E + I)], axis)


def membrane_step(conductances: Tensor, potential: Tensor, axis: int, capacitance: Tensor | float) -> Tensor:
    r"""The membrane potential one time step later, while the conductances stay as they are.

    :math:`C\, dV/dt = E' (1 - V) - I' (1 + V)` is solved exactly by

    .. math:: V \leftarrow z + (V - z)\, e^{-(E' + I') / C}, \qquad z = \frac{E' - I'}{E' + I'},

    so that a unit forgets the faster, the more of its synapses are open, and stays in [-1, 1] at any step.

    Args:
        conductances: E' of all units, then I', along ``axis``, as `kernels.open_conductances` gives them.
        potential: V of the step before, in [-1, 1], half as wide along ``axis``.
        axis: counted from the end.
        capacitance: C > 0 in units of conductance times steps, a number or a shape that broadcasts with V.
    """
    E, I = conductances.chunk(2, axis)
    kept = torch.exp((E + I) / -capacitance)
    return torch.lerp(kernels.average(conductances, axis, False), potential.to(kept.dtype), kept).to(potential.dtype)


def require_activation(activation: str | None) -> None:
    """Insist on an activation that `membrane_potential` has.

    Raises:
        InputError: it is another one.
    """
    if activation not in ACTIVATIONS:
        raise InputError(
            f"activation={activation!r}: choose None (membrane potential z in [-1, 1]) or 'relu' (open probability p "
            "in [0, 1]); layers have 'full_range' too"
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
    """`SMALLEST_LEAK`, or the nearest number whose two halves are normal numbers of the type."""
    return max(SMALLEST_LEAK, 2 * torch.finfo(dtype).tiny) if dtype.is_floating_point else SMALLEST_LEAK


def excitation_inhibition(
    p: Tensor, conductance: Tensor, valence: Valence, leak: Tensor, synaptic_sum: SynapticSum
) -> tuple[Tensor, Tensor]:
    """The two conductances that compete for each unit: E' and I', leak included.

    Args:
        p: open probabilities, (..., C) for a linear layer, ``(..., C, *positions)`` for a convolution.
        conductance: G >= 0, ``(out, fan-in, *kernel)``; for a doubled input ``(out, 2 * fan-in, *kernel)``, the
            excitatory copies first.
        valence: what each presynaptic channel is.
        leak: (2, out), see `leak_pair`.
        synaptic_sum: linear, or a convolution with its options.
    """
    packed = kernels.pack(conductance, valence, synaptic_sum)
    axis = kernels.channel_axis(conductance)
    E, I = kernels.dense(kernels.open_conductances(p, packed, valence, leak, synaptic_sum), axis).chunk(2, axis)
    return E, I


# The layer as a function ----------------------------------------------------------------------------------------------


@checked
def cwa(
    p: Tensor,
    conductance: Tensor,
    valence: Valence | Valences | None = None,
    *,
    excitatory_share: float | None = None,
    resting_conductance: float | Tensor = 1.0,
    resting_potential: float | Tensor = 0.0,
    doubled_input: bool = False,
    activation: Activation | None = None,
    pooled_interneuron: bool = False,
    stride: int | Sequence[int] = 1,
    padding: str | int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Tensor:
    """Conductance-weighted average of all inputs (paper eq. 3), or of a receptive field in 1 to 3 dimensions (eq. 6).

    Args:
        p: open probabilities in [0, 1], (..., C) or ``(N, C, *positions)``.
        conductance: G >= 0, (out, fan-in) for all inputs, ``(out, fan-in, *kernel)`` for a convolution; fan-in is
            C/groups, twice as much for a doubled input.
        valence: one value in [-1, 1] for each channel; a `conductance.valence.Valence` saves sorting the channels at
            each call.
        excitatory_share: instead of ``valence``: the share of channels that excite, the first ones; half by default.
        resting_conductance: G_r >= 0, a number or (out,).
        resting_potential: e_r in [-1, 1], a number or (out,).
        doubled_input: read p as an excitatory and an inhibitory copy.
        activation: None for z in [-1, 1], ``"relu"`` for p in [0, 1].
        pooled_interneuron: let one interneuron at each position take the units' mean away, see the function
            `pooled_interneuron`.
        stride: of a convolution, as in torch.
        padding: likewise; adds closed synapses (p = 0).
        dilation: likewise.
        groups: likewise.

    Returns:
        (..., out) or ``(N, out, *positions)``.

    Raises:
        InputError: see `Valence` and `membrane_potential`; or an option of convolutions for a matrix of conductances.
    """
    convolution: dict[str, Any] = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    if conductance.ndim == 2:
        given = [name for name, value in convolution.items() if value != (0 if name == "padding" else 1)]
        if given:
            raise InputError(f"{', '.join(given)}: conductances of shape (out, fan-in) are no kernel; leave it out")
        convolution = {}
    if conductance.ndim < 2:
        raise InputError(f"conductance has the shape {tuple(conductance.shape)}; give (out, fan-in, *kernel)")
    if not isinstance(valence, Valence):
        valence = Valence(
            valence,
            conductance.shape[1] * groups // (2 if doubled_input else 1),
            excitatory_share=excitatory_share,
            groups=groups,
            doubled_input=doubled_input,
            device=conductance.device,
            dtype=conductance.dtype,
        )
    for check in checks:
        check(p, conductance)
    require_activation(activation)
    leak = leak_pair(resting_conductance, resting_potential, len(conductance), like=conductance)
    synaptic_sum = SynapticSum(**convolution)
    packed = kernels.pack(conductance, valence, synaptic_sum)
    both = kernels.open_conductances(p, packed, valence, leak, synaptic_sum)
    dtype = kernels.low_precision(p, conductance)
    average = kernels.pooled_average if pooled_interneuron else kernels.average
    return average(both, kernels.channel_axis(conductance), activation == "relu", dtype)
