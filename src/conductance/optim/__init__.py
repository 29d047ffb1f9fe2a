"""Optimizers for networks of conductances.

`create_optimizer` makes the right one for a network: a `ConductanceOptimizer`, whose parameter groups may follow
different rules. `Centering` removes a layer's common mode from its gradients, `Homeostasis` keeps its excitation and
inhibition balanced. Any other torch optimizer works as well: the layers themselves keep their conductances >= 0.
"""

from conductance.optim.centering import Centering
from conductance.optim.create import create_optimizer
from conductance.optim.deprecated import find as __getattr__  # noqa: F401 - names of 0.1
from conductance.optim.footprint import MemoryEstimate, estimate
from conductance.optim.homeostasis import Homeostasis
from conductance.optim.muon import orthogonalize
from conductance.optim.optimizer import OPTIMIZERS, ConductanceOptimizer
from conductance.optim.synapses import Synapses, hidden_synapses

__all__ = [
    "OPTIMIZERS",
    "Centering",
    "ConductanceOptimizer",
    "Homeostasis",
    "MemoryEstimate",
    "Synapses",
    "create_optimizer",
    "estimate",
    "hidden_synapses",
    "orthogonalize",
]
