"""Looking inside networks: what each layer receives and does."""

from conductance.analysis.internals import internals
from conductance.analysis.observe import Observation, observe

__all__ = ["Observation", "internals", "observe"]
