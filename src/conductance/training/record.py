"""The folder of a training: settings, lock, checkpoints and results."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from types import NoneType
from typing import TYPE_CHECKING, Any

from torch import Tensor

from conductance.analysis.internals import internals
from conductance.errors import ConductanceError, RunError, one_line
from conductance.nested import to_device
from conductance.nn import ConductanceLayer
from conductance.runs import provenance
from conductance.runs.config import RunConfig
from conductance.runs.folder import RunFolder
from conductance.runs.predictions import Predictions
from conductance.runs.schema import OWN, read_history
from conductance.training.checkpoint import restore, state_of
from conductance.training.evaluation import predicted_classes
from conductance.training.sharding import class_name, gathered, load_network

if TYPE_CHECKING:
    from conductance.training.trainer import Trainer

_PLAIN = (bool, int, float, str, tuple, NoneType)

NETWORK = "network."
"""Prefix of the network's weights in the weights file."""


class RunRecord:
    """Writes the folder of one training.

    Args:
        folder: the folder.
        config: the settings to record. A training is resumed only with the same settings.
        details: further entries of the summary.
    """

    def __init__(self, folder: RunFolder, config: RunConfig | Mapping[str, Any], **details: Any) -> None:
        self.folder, self.config, self.details = folder, config, details
        self._claimed = False

    @property
    def settings(self) -> Mapping[str, Any]:
        """The settings as plain values."""
        return self.config.to_dict() if isinstance(self.config, RunConfig) else self.config

    @contextmanager
    def kept(self, trainer: "Trainer") -> Iterator[None]:
        """A context that holds the lock of the folder. The main process takes it for all processes."""
        if trainer.is_main_process:
            with self.folder.locked():
                try:
                    yield
                except Exception as error:  # what Ctrl-C stops has not failed
                    if self._claimed:
                        with suppress(ConductanceError):  # the first error counts
                            self.folder.write_failure(error)
                    raise
        else:
            yield

    def begin(self, trainer: "Trainer", resume: bool) -> bool:
        """Check the folder, and restore the state that it holds when resuming. Writes nothing.

        Returns:
            False if the run has finished; its results are then loaded.

        Raises:
            RunError: the folder holds another run or other files, or a damaged checkpoint.
        """
        if self._claimed:
            return True

        def found() -> tuple[bool, dict[str, Any] | None]:
            self.folder.check(self.config, resume=resume)
            finished = resume and self.folder.finished
            return finished, self.folder.read_checkpoint() if resume and not finished else None

        finished, checkpoint = trainer.processes.from_first(found)  # the others may not even see the folder
        if finished:
            self._load_result(trainer, trainer.processes.from_first(self._read_result))
        elif checkpoint is not None:
            restore(trainer, checkpoint, self.folder.checkpoint_file)
        return not finished

    def claim(self, trainer: "Trainer") -> None:
        """Write the settings, once all processes have checked the folder."""
        if self._claimed:
            return
        with trainer.processes.together():
            if trainer.is_main_process:
                self.folder.claim(self.config)
                if trainer.history:  # an interruption between the two files loses a line
                    self.folder.write_metrics(trainer.history)
        self._claimed = True

    def epoch(self, trainer: "Trainer") -> None:
        """Save the state after an epoch."""
        state = state_of(trainer)
        with trainer.processes.together():
            if trainer.is_main_process:
                self.folder.write_epoch(state, trainer.history)

    def finish(self, trainer: "Trainer") -> None:
        """Write the results, and delete the checkpoint."""
        if not trainer.history:
            return
        # of a sharded network, each process has a part
        weights = _weights(trainer) if trainer.sharded or trainer.is_main_process else {}
        answers = _predictions(trainer) if trainer.sharded or trainer.is_main_process else None
        with trainer.processes.together():
            if trainer.is_main_process:
                self._write_results(trainer, weights, answers)

    def _write_results(self, trainer: "Trainer", weights: Mapping[str, Tensor], answers: Predictions | None) -> None:
        self.folder.write_weights(weights)
        if (seen := _internals(trainer)) is not None:
            self.folder.write_json(self.folder.internals_file, seen)
        if answers is not None:
            answers.write(self.folder.predictions_file)
        self.folder.write_json(self.folder.summary_file, self._summary(trainer))
        self.folder.checkpoint_file.unlink(missing_ok=True)

    def _summary(self, trainer: "Trainer") -> dict[str, Any]:
        settings, history = self.settings, trainer.history
        tested = [epoch["test_accuracy"] for epoch in history if "test_accuracy" in epoch]
        best = {"best_test_accuracy": max(tested)} if tested else {}
        return {
            "name": settings["name"],
            "dataset": settings["data"]["dataset"],
            "architecture": settings["model"]["architecture"],
            "family": settings["model"]["family"],
            "seed": settings["seed"],
            "epochs": len(history),
            "seconds": round(sum(epoch["seconds"] for epoch in history), 3),
            "validation_accuracy": None,
            **{name: value for name, value in history[-1].items() if name.endswith(("_loss", "_accuracy"))},
            **best,
            "parameters": sum(parameter.numel() for parameter in trainer.network.parameters()),
            **({"processes": trainer.num_processes} if trainer.num_processes > 1 else {}),
            **self.details,
            "versions": provenance.versions(),
            "hardware": provenance.hardware(trainer.device),
            "git_commit": provenance.git_commit(),
        }

    def _read_result(self) -> tuple[dict[str, Tensor], list[dict[str, Any]]]:
        """Weights and metrics of a finished run."""
        return self.folder.read_weights(), read_history(self.folder.metrics_file)

    def _load_result(self, trainer: "Trainer", result: tuple[Mapping[str, Tensor], list[dict[str, Any]]]) -> None:
        weights, trainer.history = result
        network = {name.removeprefix(NETWORK): tensor for name, tensor in weights.items() if name.startswith(NETWORK)}
        try:
            load_network(trainer.network, network)
        except RuntimeError as error:
            raise RunError(
                f"{self.folder.weights_file} does not fit this network: {one_line(error):.300}; load it into the "
                "network that was trained"
            ) from None
        trainer.epoch = len(trainer.history)
        trainer.stopped, trainer.averaged = True, None


def settings_of(trainer: "Trainer") -> dict[str, Any]:
    """The settings to record for a network that no config describes."""
    settings = trainer.config.to_dict()
    batch_size = settings.pop("batch_size")
    del settings["workers"]  # affects only the speed
    if trainer.optimizer_given:
        chosen = trainer.config.optimizer
        settings["optimizer"] = {
            "name": type(trainer.optimizer).__name__,
            **{
                name: _of_json(value) for name, value in trainer.optimizer.defaults.items() if isinstance(value, _PLAIN)
            },
            "weight_average": chosen.weight_average,
            "label_smoothing": chosen.label_smoothing,
        }
    network = {
        "architecture": class_name(trainer.network),
        "family": OWN,
        "parameters": sum(parameter.numel() for parameter in trainer.network.parameters()),
    }
    data = {"dataset": trainer.data.name, "batch_size": batch_size, "batches": trainer.data.train.alone()}
    return {**settings, "model": network, "data": data}


def _of_json(value: Any) -> Any:
    """JSON has no infinite numbers."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _weights(trainer: "Trainer") -> dict[str, Tensor]:
    weights = {f"{NETWORK}{name}": tensor for name, tensor in gathered(trainer.result.state_dict()).items()}
    if (preprocessing := trainer.data.preprocessing) is not None:
        weights |= {f"preprocessing.{name}": tensor for name, tensor in preprocessing.state_dict().items()}
    return weights


def _predictions(trainer: "Trainer") -> Predictions | None:
    """The answers for the test images; None where there are none, or where they are no classes."""
    if trainer.data.test is None:
        return None
    answers = predicted_classes(trainer.result, trainer.data.test, trainer.device, trainer.accelerator.autocast)
    return None if answers is None else Predictions(*answers)


def _internals(trainer: "Trainer") -> dict[str, Any] | None:
    """Statistics of the conductance layers on the first test images; None if there are none, or in parts only."""
    if (
        trainer.data.test is None
        or trainer.sharded
        or not any(isinstance(layer, ConductanceLayer) for layer in trainer.network.modules())
    ):
        return None
    batch = trainer.data.test.first()
    if batch is None or not isinstance(batch[0], Tensor):
        return None
    return internals(trainer.result, to_device(batch[0], trainer.device))
