"""Run folders: what a run is, what it leaves behind, how it is read again."""

from conductance.runs import provenance
from conductance.runs.config import (
    ConductanceConfig,
    DataConfig,
    ModelConfig,
    OptimizerConfig,
    ProtocolConfig,
    RunConfig,
    TeacherConfig,
)
from conductance.runs.folder import BusyRunError, RunFolder
from conductance.runs.read import Run, load_runs
from conductance.runs.trained import TrainedRun, load_run

__all__ = [
    "BusyRunError",
    "ConductanceConfig",
    "DataConfig",
    "ModelConfig",
    "OptimizerConfig",
    "ProtocolConfig",
    "Run",
    "RunConfig",
    "RunFolder",
    "TeacherConfig",
    "TrainedRun",
    "load_run",
    "load_runs",
    "provenance",
]
