"""Training: configs, the loop, its protocols, and what a run leaves behind."""

from conductance.training.config import (
    ConductanceConfig,
    DataConfig,
    ModelConfig,
    OptimizerConfig,
    ProtocolConfig,
    RunConfig,
    TeacherConfig,
)
from conductance.training.evaluation import TrainedRun, evaluate, load_run
from conductance.training.loop import NonFiniteLossError, train
from conductance.training.run_folder import BusyRunError, RunFolder

__all__ = [
    "BusyRunError",
    "ConductanceConfig",
    "DataConfig",
    "ModelConfig",
    "NonFiniteLossError",
    "OptimizerConfig",
    "ProtocolConfig",
    "RunConfig",
    "RunFolder",
    "TeacherConfig",
    "TrainedRun",
    "evaluate",
    "load_run",
    "train",
]
