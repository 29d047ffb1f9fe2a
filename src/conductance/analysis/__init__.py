"""Looking inside networks: what each layer receives and does."""

from conductance.analysis.internals import internals
from conductance.analysis.observe import Observation, observe
from conductance.analysis.validate import Validation, validate

__all__ = ["Observation", "Validation", "internals", "observe", "validate"]
