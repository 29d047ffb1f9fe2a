"""Where a layer's rescaled quantities and the membrane's physical ones meet."""

import torch
from torch import Tensor

from conductance.biophysics.rescaling import DEFAULT_RANGE, PotentialRange
from conductance.biophysics.steady_state import conductance_weighted_average
from conductance.errors import InputError
from conductance.nn import CWALinear

_READ = ("conductance", "valence", "resting_conductance", "resting_potential", "doubled_input")


def layer_steady_state(
    layer: CWALinear, open_probability: Tensor, potentials: PotentialRange = DEFAULT_RANGE
) -> Tensor:
    """Membrane potentials in mV of a layer's units: paper eq. 1 with the layer's conductances read as nS.

    Valences e and resting potentials e_r become mV over `potentials`; conductances are taken as they are. So
    `potentials.to_valence` of the result is the layer's z, before its activation.

    Args:
        layer: a `CWALinear`, or whatever has its `conductance` (out, fan_in), `valence` (fan_in,),
            `resting_conductance` and `resting_potential` (out,), and `doubled_input`.
        open_probability: p, shape (..., in_features), each in [0, 1]. A doubled input is presented twice here,
            to the excitatory and then to the inhibitory copies, as the layer means it.
        potentials: the mV that valences -1 and +1 stand for.

    Returns:
        V in mV, shape (..., out).

    Raises:
        InputError: the layer lacks one of these attributes; or as `steady_state` raises, volts apart.
    """
    missing = [name for name in _READ if not hasattr(layer, name)]
    if missing:
        raise InputError(
            f"{type(layer).__name__} has no {', '.join(missing)}; give a CWALinear or a layer with its attributes"
        )
    p = torch.cat((open_probability, open_probability), dim=-1) if layer.doubled_input else open_probability
    return conductance_weighted_average(
        p,
        layer.conductance,
        potentials.to_millivolts(layer.valence),
        layer.resting_conductance,
        potentials.to_millivolts(layer.resting_potential),
    )
