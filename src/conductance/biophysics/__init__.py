"""The layers' equation in millivolts and nanosiemens: paper eq. 1, its gates and its rescaling."""

from conductance.biophysics.gate import boltzmann_gate, rectified_gate
from conductance.biophysics.mapping import layer_steady_state
from conductance.biophysics.rescaling import PotentialRange
from conductance.biophysics.steady_state import steady_state
from conductance.biophysics.synapses import (
    AMPA,
    GABA_A,
    GABA_B,
    LEAK,
    NMDA,
    SYNAPSE_CLASSES,
    SynapseClass,
    reversal_potentials,
)

__all__ = [
    "AMPA",
    "GABA_A",
    "GABA_B",
    "LEAK",
    "NMDA",
    "SYNAPSE_CLASSES",
    "PotentialRange",
    "SynapseClass",
    "boltzmann_gate",
    "layer_steady_state",
    "rectified_gate",
    "reversal_potentials",
    "steady_state",
]
