"""Layers whose units average conductances."""

from conductance.nn._conductance import ConductanceLayer, SignedLayer
from conductance.nn.conv import AbsNormConv2d, CWAConv1d, CWAConv2d, CWAConv3d
from conductance.nn.freeze import FrozenAverage, freeze
from conductance.nn.gate import Gate
from conductance.nn.linear import AbsNormLinear, CWALinear
from conductance.nn.observe import Observation, observe, visit

__all__ = [
    "AbsNormConv2d",
    "AbsNormLinear",
    "CWAConv1d",
    "CWAConv2d",
    "CWAConv3d",
    "CWALinear",
    "ConductanceLayer",
    "FrozenAverage",
    "Gate",
    "Observation",
    "SignedLayer",
    "freeze",
    "observe",
    "visit",
]
