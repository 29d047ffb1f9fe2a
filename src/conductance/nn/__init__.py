"""Layers whose units average conductances."""

from conductance.deprecation import moved
from conductance.nn.base import AveragingLayer
from conductance.nn.conductance import ConductanceLayer
from conductance.nn.conv import AbsNormConv2d, CWAConv1d, CWAConv2d, CWAConv3d
from conductance.nn.gap_junction import GapJunction
from conductance.nn.gates import FullRange, Gate, LogisticGate
from conductance.nn.inputs import ScaledInput, SignedInput
from conductance.nn.lateral import LateralConv2d, LateralLinear
from conductance.nn.leak import Leak
from conductance.nn.linear import AbsNormLinear, CWALinear
from conductance.nn.recurrence import spectral_radius
from conductance.nn.recurrent import CWARNN, CWARNNCell
from conductance.nn.signed import SignedLayer
from conductance.nn.units import Reading, assign_valences, read_valences

__all__ = [
    "CWARNN",
    "AbsNormConv2d",
    "AbsNormLinear",
    "AveragingLayer",
    "CWAConv1d",
    "CWAConv2d",
    "CWAConv3d",
    "CWALinear",
    "CWARNNCell",
    "ConductanceLayer",
    "FullRange",
    "GapJunction",
    "Gate",
    "LateralConv2d",
    "LateralLinear",
    "Leak",
    "LogisticGate",
    "Reading",
    "ScaledInput",
    "SignedInput",
    "SignedLayer",
    "assign_valences",
    "read_valences",
    "spectral_radius",
]

__getattr__ = moved(
    __name__,
    {
        "FrozenAverage": "conductance.transform",
        "Observation": "conductance.analysis",
        "freeze": "conductance.transform",
        "observe": "conductance.analysis",
    },
)
