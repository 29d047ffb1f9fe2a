"""Training: the trainer, learning-rate schedules, teachers and devices."""

from conductance.training import requirements  # isort: skip  # first, so that it speaks before the others fail
from conductance.deprecation import moved
from conductance.training.config import TrainingConfig
from conductance.training.evaluation import evaluate
from conductance.training.failures import NonFiniteLossError
from conductance.training.run import train
from conductance.training.tensorboard import TensorBoard
from conductance.training.trainer import Trainer

__all__ = ["NonFiniteLossError", "TensorBoard", "Trainer", "TrainingConfig", "evaluate", "requirements", "train"]

_CONFIGS = tuple(
    f"{part}Config" for part in ["Conductance", "Data", "Model", "Optimizer", "Protocol", "Run", "Teacher"]
)
__getattr__ = moved(
    __name__,
    {
        **dict.fromkeys(("BusyRunError", "RunFolder", "load_run", *_CONFIGS), "conductance.runs"),
        "TrainedRun": "conductance.runs:Run",
    },
)
