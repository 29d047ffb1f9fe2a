"""Well-known synapse classes and their reversal potentials."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from conductance.checked import checked
from conductance.errors import UnknownNameError


@dataclass(frozen=True)
class SynapseClass:
    """A class of synapses that share a reversal potential (mV), and where that value is used."""

    name: str
    reversal_potential: float
    reference: str


_SANDERS = "Sanders, Berends, Major, Goldman & Lisman (2013), J. Neurosci. 33:424, table 1"

AMPA = SynapseClass("AMPA", 0.0, _SANDERS)
NMDA = SynapseClass("NMDA", 0.0, _SANDERS)  # the magnesium block depends on V; eq. 1 has no term for it
GABA_A = SynapseClass("GABA-A", -70.0, _SANDERS)  # chloride
GABA_B = SynapseClass("GABA-B", -90.0, _SANDERS)  # potassium
# Not a synapse but treated as one that is always open: the resting channels, G_r and E_r of eq. 1.
LEAK = SynapseClass("leak", -65.0, "Dayan & Abbott (2001), Theoretical Neuroscience, section 5.4")

SYNAPSE_CLASSES = {each.name: each for each in (AMPA, NMDA, GABA_A, GABA_B, LEAK)}


@checked
def reversal_potentials(names: Iterable[str]) -> Tensor:
    """Reversal potentials E in mV, shape (fan_in,), of presynaptic neurons given by their synapse class.

    Raises:
        UnknownNameError: a name is not in `SYNAPSE_CLASSES`.

    >>> reversal_potentials(["AMPA"] * 2 + ["GABA-A"])
    tensor([  0.,   0., -70.])
    """
    return torch.tensor([_synapse_class(name).reversal_potential for name in names])


def _synapse_class(name: str) -> SynapseClass:
    if name not in SYNAPSE_CLASSES:
        raise UnknownNameError("synapse class", name, SYNAPSE_CLASSES)
    return SYNAPSE_CLASSES[name]
