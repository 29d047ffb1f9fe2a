"""Run folders: the config of a run, the files it leaves, and how it is read back."""

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
from conductance.runs.find import load_runs
from conductance.runs.folder import BusyRunError, RunFolder
from conductance.runs.run import Run, load_run

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
    "load_run",
    "load_runs",
    "provenance",
]
