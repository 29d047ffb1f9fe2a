"""Circuits: populations of neurons, the projections between them, and their course in time."""

from conductance.circuits import plot
from conductance.circuits.circuit import Circuit, Neurons
from conductance.circuits.network import CircuitNetwork
from conductance.circuits.rules import (
    Blocks,
    Convolution,
    Dense,
    Exponential,
    Gaussian,
    InDegree,
    Mask,
    OneToOne,
    Rule,
    Sparse,
    WithinDistance,
    WithoutAutapses,
)
from conductance.circuits.state import Activity, State

__all__ = [
    "Activity",
    "Blocks",
    "Circuit",
    "CircuitNetwork",
    "Convolution",
    "Dense",
    "Exponential",
    "Gaussian",
    "InDegree",
    "Mask",
    "Neurons",
    "OneToOne",
    "Rule",
    "Sparse",
    "State",
    "WithinDistance",
    "WithoutAutapses",
    "plot",
]
