"""A single layer in millivolts."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from conductance import functional
from conductance.biophysics._checks import refuse_bad_conductance
from conductance.biophysics.rescaling import DEFAULT_RANGE, PotentialRange
from conductance.biophysics.steady_state import conductance_weighted_average
from conductance.checked import checked
from conductance.errors import InputError
from conductance.nn import LateralLinear

_READ = ("conductance", "valence", "resting_conductance", "resting_potential", "doubled_input")


@checked
def layer_steady_state(
    layer: Any,
    open_probability: Tensor,
    potentials: PotentialRange = DEFAULT_RANGE,
    extra_conductances: Tensor | None = None,
) -> Tensor:
    """Membrane potentials in mV of a layer's units: paper eq. 1 with the layer's conductances read as nS.

    Valences e and resting potentials e_r become mV over `potentials`; conductances are taken as they are. So
    `potentials.to_valence` of the result is the layer's z, before its activation; with its pooled interneuron.

    Args:
        layer: a `CWALinear`, or whatever has its `conductance` (out, fan_in), `valence` (fan_in,),
            `resting_conductance` and `resting_potential` (out,), and `doubled_input`.
        open_probability: p, shape (..., in_features), each in [0, 1]. The layer doubles a doubled input itself.
        potentials: the mV that valences -1 and +1 stand for.
        extra_conductances: what joins the average from elsewhere, in nS: E' of all units, then I', shape (..., 2 out).

    Returns:
        V in mV, shape (..., out).

    Raises:
        InputError: the layer lacks one of these attributes, or has interneurons or no average (``average=False``); or
            as `steady_state` raises, except for volts.
    """
    missing = [name for name in _READ if not hasattr(layer, name)]
    if missing:
        raise InputError(
            f"{type(layer).__name__} has no {', '.join(missing)}; give a CWALinear or a layer with its attributes"
        )
    if isinstance(layer, LateralLinear) and layer.slices:
        raise InputError(
            "a LateralLinear has interneurons, which join its average in time slices; "
            "give the layer to to_biophysical, whose steady_state counts them"
        )
    if not getattr(layer, "average", True):
        raise InputError(
            f"a {type(layer).__name__} with average=False has no membranes, only synapses onto another layer's; give "
            "what it returns as extra_conductances of that layer"
        )
    p = torch.cat((open_probability, open_probability), dim=-1) if layer.doubled_input else open_probability
    E_r, G_r = potentials.to_millivolts(layer.resting_potential), layer.resting_conductance
    E = potentials.to_millivolts(layer.valence)
    V = conductance_weighted_average(p, layer.conductance, E, G_r, E_r)
    if extra_conductances is not None:
        if extra_conductances.shape[-1:] != (2 * V.shape[-1],):
            raise InputError(
                f"extra_conductances has the shape {tuple(extra_conductances.shape)}; give E' of all units, then I', "
                f"(..., {2 * V.shape[-1]})"
            )
        refuse_bad_conductance(extra_conductances, "extra_conductances")
        excitation, inhibition = extra_conductances.chunk(2, -1)
        own, joining = G_r + F.linear(p, layer.conductance), excitation + inhibition
        driving = potentials.maximum * excitation + potentials.minimum * inhibition
        V = (own * V + driving) / (own + joining)
    if getattr(layer, "pooled_interneuron", False):
        V = potentials.to_millivolts(functional.pooled_interneuron(potentials.to_valence(V)))
    return V
