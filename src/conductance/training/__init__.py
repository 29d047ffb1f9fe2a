"""Training: the loop, its protocols, teachers and devices."""

from conductance.deprecation import moved
from conductance.training.evaluation import evaluate
from conductance.training.loop import NonFiniteLossError, train

__all__ = ["NonFiniteLossError", "evaluate", "train"]

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
