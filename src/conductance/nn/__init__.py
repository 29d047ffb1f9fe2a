"""Layers whose units average conductances."""

from conductance.nn._conductance import ConductanceLayer, SignedLayer
from conductance.nn.conv import AbsNormConv2d, CWAConv1d, CWAConv2d, CWAConv3d
from conductance.nn.freeze import FrozenAverage, freeze
from conductance.nn.gap_junction import GapJunction
from conductance.nn.gate import Gate, Uncut
from conductance.nn.lateral import LateralConv2d, LateralLinear
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
    "GapJunction",
    "Gate",
    "LateralConv2d",
    "LateralLinear",
    "Observation",
    "SignedLayer",
    "Uncut",
    "freeze",
    "observe",
    "visit",
]
