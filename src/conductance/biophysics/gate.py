"""Gates: the open probability p of a neuron's synapses as a function of its membrane potential V (mV)."""

import torch
from torch import Tensor

from conductance.biophysics._checks import refuse_where
from conductance.checked import checked


@checked
def boltzmann_gate(membrane_potential: Tensor, *, threshold: Tensor | float, slope_factor: Tensor | float) -> Tensor:
    """Open probability of the Boltzmann (logistic) gate (paper eq. 1, right).

        p = 1 / (1 + exp(-(V - E_th) / k))

    Args:
        membrane_potential: V of the presynaptic neurons in mV, any shape.
        threshold: E_th in mV, where p = 1/2; a number or a shape that broadcasts with V.
        slope_factor: k in mV, > 0; a number or a shape that broadcasts with V. At threshold dp/dV = 1/(4 k).

    Returns:
        p in [0, 1].

    Raises:
        InputError: a slope factor is not above 0.
    """
    return torch.sigmoid(_above_threshold(membrane_potential, threshold, slope_factor))


@checked
def rectified_gate(membrane_potential: Tensor, *, threshold: Tensor | float, slope_factor: Tensor | float) -> Tensor:
    """Open probability of the rectified gate: closed up to threshold, then linear in V, fully open at E_th + k.

        p = min(max((V - E_th) / k, 0), 1)

    With E_th the middle of the potential range and k half its width (`PotentialRange.midpoint`,
    `PotentialRange.half_width`), (V - E_th)/k is the rescaled potential z and p = max(z, 0): paper eq. 4.

    Args:
        membrane_potential: V of the presynaptic neurons in mV, any shape.
        threshold: E_th in mV; a number or a shape that broadcasts with V.
        slope_factor: k in mV, > 0; a number or a shape that broadcasts with V. Above threshold dp/dV = 1/k.

    Returns:
        p in [0, 1].

    Raises:
        InputError: a slope factor is not above 0.
    """
    return _above_threshold(membrane_potential, threshold, slope_factor).clamp(0, 1)


def _above_threshold(V: Tensor, E_th: Tensor | float, k: Tensor | float) -> Tensor:
    slope = torch.as_tensor(k, dtype=V.dtype, device=V.device)
    refuse_where(~(slope > 0), slope, "slope_factor", "k is a width in mV and lies above 0")
    return (V - E_th) / slope
