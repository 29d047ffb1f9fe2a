"""Looking inside networks: what each layer receives and does."""

from conductance.analysis.check import CheckReport, LayerCheck, check
from conductance.analysis.internals import internals
from conductance.analysis.observe import Observation, observe
from conductance.analysis.summary import Summary, summary
from conductance.analysis.validate import Validation, validate

__all__ = [
    "CheckReport",
    "LayerCheck",
    "Observation",
    "Summary",
    "Validation",
    "check",
    "internals",
    "observe",
    "summary",
    "validate",
]
