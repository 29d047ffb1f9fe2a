"""The layers' equation in millivolts and nanosiemens: paper eq. 1, its gates, its rescaling, the membrane in time."""

from conductance.biophysics.export import PointNeuron, export_neuron, point_neurons
from conductance.biophysics.export_circuit import export_circuit
from conductance.biophysics.fluctuations import fluctuation_shift
from conductance.biophysics.gate import boltzmann_gate, rectified_gate
from conductance.biophysics.hodgkin_huxley import SquidAxon, firing_rate
from conductance.biophysics.layers import MembraneLayer, SynapseLayer
from conductance.biophysics.mapping import layer_steady_state
from conductance.biophysics.membrane import in_parallel, integrate, relax, time_constant
from conductance.biophysics.network import BiophysicalNetwork, to_biophysical
from conductance.biophysics.neuroml import export_neuroml
from conductance.biophysics.recording import Simulation
from conductance.biophysics.rescaling import PotentialRange
from conductance.biophysics.simulation import simulate
from conductance.biophysics.spikes import (
    TAU_E,
    TAU_I,
    conductance_quantum,
    exponential_synapse,
    poisson_spikes,
    synaptic_input,
)
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
    "TAU_E",
    "TAU_I",
    "BiophysicalNetwork",
    "MembraneLayer",
    "PointNeuron",
    "PotentialRange",
    "Simulation",
    "SquidAxon",
    "SynapseClass",
    "SynapseLayer",
    "boltzmann_gate",
    "conductance_quantum",
    "exponential_synapse",
    "export_circuit",
    "export_neuroml",
    "export_neuron",
    "firing_rate",
    "fluctuation_shift",
    "in_parallel",
    "integrate",
    "layer_steady_state",
    "point_neurons",
    "poisson_spikes",
    "rectified_gate",
    "relax",
    "reversal_potentials",
    "simulate",
    "steady_state",
    "synaptic_input",
    "time_constant",
    "to_biophysical",
]
