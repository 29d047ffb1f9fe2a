"""Optimizers for conductance networks: Dale's law holds after every step.

`create_optimizer` gives a network the right one; `Muon`, `ExponentiatedGradient` and `CombinedOptimizer` are its
parts, and `keep_nonnegative` serves those who bring their own. `Centering` keeps a layer's common mode out of its
gradients, `Homeostasis` its excitation and inhibition balanced.
"""

from conductance.optim.centering import Centering
from conductance.optim.combined import CombinedOptimizer
from conductance.optim.create import LEARNING_RATES, OPTIMIZERS, create_optimizer
from conductance.optim.exponentiated import ExponentiatedGradient
from conductance.optim.groups import Synapses, hidden_synapses
from conductance.optim.homeostasis import Homeostasis
from conductance.optim.muon import Muon, orthogonalize
from conductance.optim.projection import keep_nonnegative, project_, projected_parameters

__all__ = [
    "LEARNING_RATES",
    "OPTIMIZERS",
    "Centering",
    "CombinedOptimizer",
    "ExponentiatedGradient",
    "Homeostasis",
    "Muon",
    "Synapses",
    "create_optimizer",
    "hidden_synapses",
    "keep_nonnegative",
    "orthogonalize",
    "project_",
    "projected_parameters",
]
