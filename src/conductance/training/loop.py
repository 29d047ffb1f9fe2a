"""Training: from a config and an empty folder to a finished run."""

import time
from contextlib import nullcontext
from math import isfinite
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from rich.console import Console
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from conductance.allocator import keep_freed_memory
from conductance.analysis.internals import internals
from conductance.data import Dataset, DeviceLoader, Images, load_dataset, split_validation
from conductance.errors import InputError, RunError
from conductance.runs import provenance
from conductance.runs.config import RunConfig
from conductance.runs.folder import RunFolder
from conductance.runs.schema import read_summary
from conductance.training import build
from conductance.training.device import (
    create_accelerator,
    flushing_denormals,
    memory_format,
    random_state,
    reproducible,
    set_random_state,
)
from conductance.training.evaluation import EVALUATION_BATCH, evaluate
from conductance.training.progress import TrainingProgress
from conductance.training.protocols import create_protocol
from conductance.training.shared_state import SharedState
from conductance.training.tally import Tally
from conductance.training.teacher import build_teacher

SECONDS_BETWEEN_LOOKS = 0.5  # a look at the loss waits for the device, so it is not taken at every step
VALIDATION_SEED = 0  # the held-out images are the same for every seed of a preset


class NonFiniteLossError(RunError):
    """The loss became infinite or NaN."""


@flushing_denormals()
def train(
    config: RunConfig,
    out: Path,
    *,
    data_dir: Path | None = None,
    device: str = "auto",
    resume: bool = False,
    console: Console | None = None,
    command: str | None = None,
) -> dict[str, Any]:
    """Train one network and leave everything about it in a folder.

    Args:
        config: the complete run.
        out: its folder; must not hold another run.
        data_dir: where to look for the data set first.
        device: "auto" (a GPU where there is one), "cpu", "cuda" or "mps".
        resume: go on with the run that ``out`` holds, as if it had never stopped; a finished one is left as it is.
        console: where progress is shown; None for silence.
        command: what to record as the command that reproduces the run; as typed by default.

    Returns:
        The content of ``summary.json``; accuracies in %.

    Raises:
        ConductanceError: a name, file or folder that does not serve, or that another process is at; all checked before
            training starts.
        NonFiniteLossError: the loss is no longer a number; the checkpoint of the last good epoch stays.
    """
    folder = RunFolder(out)
    folder.check(config, resume=resume)
    if not (resume and folder.finished):
        dataset = load_dataset(config.data.dataset, data_dir, image_size=config.data.image_size)
        keep_freed_memory()
        with SharedState().in_force():
            run = _Run(config, folder, dataset, create_accelerator(config, device))
            with folder.locked() if run.accelerator.is_main_process else nullcontext():
                run.carry_out(resume, console, command or provenance.command_line())
    return read_summary(folder.summary_file)


def _running_mean(network: nn.Module, decay: float) -> AveragedModel:
    """The exponential mean of all weights and statistics. A mean of non-negative conductances is non-negative."""
    return AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)


class _Run:
    """The state of one training run, between an empty folder and a finished one."""

    def __init__(self, config: RunConfig, folder: RunFolder, dataset: Dataset, accelerator: Accelerator) -> None:
        self.config, self.folder, self.accelerator = config, folder, accelerator
        device = accelerator.device
        train, held_out = split_validation(dataset.train, config.data.validation_images, VALIDATION_SEED)
        validation = dataset.validation if held_out is None else held_out
        train, self.test = train.to(device), dataset.test.to(device)
        self.validation = validation.to(device) if validation is not None else None
        self.preprocessing = build.build_preprocessing(config, train).to(device)
        self.teacher = build_teacher(config, dataset, self.preprocessing)

        set_seed(config.seed)
        network = build.build_network(config, dataset).to(device)
        first = self.preprocessing(train.pixels[: build.BALANCE_IMAGES])
        self._check_input(first)
        build.initialize(network, config.conductance, first)
        network = network.to(memory_format=memory_format(device))  # type: ignore[call-overload]
        self.parameters = sum(p.numel() for p in network.parameters())

        self.loader = DeviceLoader(
            train,
            config.data.batch_size,
            preprocessing=self.preprocessing,
            augmentation=build.build_augmentation(config),
            mixing=build.build_mixing(config, dataset.num_classes),
            shuffle=True,
            seed=config.seed,
            rank=accelerator.process_index,
            world_size=accelerator.num_processes,
            drop_last=self._must_drop_last(train),
        )
        optimizer = build.build_optimizer(config, network)
        steps = -(-len(self.loader) // config.accumulate) * config.epochs
        self.protocol = create_protocol(optimizer, config.protocol, steps)
        self.network, self.optimizer = accelerator.prepare(network, optimizer)
        decay = config.optimizer.weight_average
        self.averaged = _running_mean(network, decay) if decay else None
        self.metrics: list[dict[str, Any]] = []
        self.stopped = False

    def _must_drop_last(self, train: Images) -> bool:
        """Processes must keep step, and BatchNorm has nothing to learn from one image."""
        processes = self.accelerator.num_processes
        return processes > 1 or len(train) % self.config.data.batch_size == 1

    def _check_input(self, batch: Tensor) -> None:
        """Once per run: conductance layers need open probabilities."""
        if self.preprocessing.kind == "whitened":
            return
        low, high = float(batch.min()), float(batch.max())
        if not (low >= 0 and high <= 1):
            raise InputError(
                f"{self.config.data.dataset}: inputs lie in [{low:g}, {high:g}], but open probabilities must lie in "
                "[0, 1]; choose --data.preprocessing scaled or unit"
            )

    # Training ------------------------------------------------------------------------------------------------------

    def carry_out(self, resume: bool, console: Console | None, command: str) -> None:
        """All that is left to do in a folder that is ours now, and may have been another's since it was looked at."""
        self.folder.check(self.config, resume=resume)
        if resume and self.folder.finished:
            return
        checkpoint = self.folder.read_checkpoint() if resume else None
        if checkpoint is not None:
            self.load_state_dict(checkpoint)
        self.accelerator.wait_for_everyone()  # nobody claims the folder before everybody has checked it
        if self.accelerator.is_main_process:
            self.folder.claim(self.config)
            if self.metrics:  # where it was cut off between checkpoint and metrics, a line is missing
                self.folder.write_metrics(self.metrics)
        self.fit(console if self.accelerator.is_main_process else None)
        self.finish(command)

    def fit(self, console: Console | None) -> None:
        """Train until the protocol or the last epoch says stop, saving after each epoch."""
        per_epoch = len(self.loader)
        total, done = per_epoch * self.config.epochs, per_epoch * len(self.metrics)
        with (
            reproducible(self.accelerator.device),
            TrainingProgress(self.config.name, total, done, console) as progress,
        ):
            while len(self.metrics) < self.config.epochs and not self.stopped:
                self.metrics.append(self._epoch(progress))
                latest = self.metrics[-1]
                self.stopped = self.protocol.after_epoch(latest["train_loss"], latest["train_accuracy"])
                progress.epoch(latest, self.config.epochs)
                if self.accelerator.is_main_process:
                    self.folder.write_epoch(self.state_dict(), self.metrics)

    def _epoch(self, progress: TrainingProgress) -> dict[str, Any]:
        started = time.perf_counter()
        learning_rate = self.optimizer.param_groups[0]["lr"]
        tally = self._pass_over_training_images(progress)
        test_loss, test_accuracy = self._evaluate(self.test)
        if not isfinite(test_loss):  # the last step of the epoch did it: no later batch has seen
            raise self._non_finite(test_loss, tally.steps)
        return {
            "epoch": len(self.metrics) + 1,
            "train_loss": self._mean(tally.loss()),
            "train_accuracy": self._mean(tally.accuracy()),
            "validation_accuracy": self._evaluate(self.validation)[1] if self.validation is not None else None,
            "test_loss": test_loss,
            "test_accuracy": test_accuracy,
            "learning_rate": learning_rate,
            "seconds": round(time.perf_counter() - started, 3),
        }

    def _pass_over_training_images(self, progress: TrainingProgress) -> Tally:
        self.network.train()
        tally = Tally.of(len(self.loader), self.accelerator.device)
        looked = time.perf_counter()
        for batch, (images, labels) in enumerate(self.loader):
            step_now = (batch + 1) % self.config.accumulate == 0 or batch + 1 == len(self.loader)
            with nullcontext() if step_now else self.accelerator.no_sync(self.network):
                logits = self.network(images)
                loss = self._loss(images, logits, labels)
                self.accelerator.backward(loss * self._share_of_step(batch))
            if step_now:
                self.optimizer.step()
                self.optimizer.zero_grad()
                self.protocol.after_step()
                if self.averaged is not None:
                    self.averaged.update_parameters(self._bare)
            tally.add(loss, logits, labels)
            progress.step()
            if time.perf_counter() - looked > SECONDS_BETWEEN_LOOKS:
                looked = time.perf_counter()
                progress.show(self._checked(tally).loss(), tally.accuracy())
        return self._checked(tally)

    def _loss(self, images: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
        loss = F.cross_entropy(logits, labels, label_smoothing=self.config.optimizer.label_smoothing)
        if self.teacher is None:
            return loss
        with self.accelerator.autocast():
            return self.teacher.loss(images, logits, loss)

    def _share_of_step(self, batch: int) -> float:
        """1, or more where the epoch ends before a step has all its batches: accelerate divides by `accumulate`."""
        first = batch - batch % self.config.accumulate
        return self.config.accumulate / min(self.config.accumulate, len(self.loader) - first)

    def _checked(self, tally: Tally) -> Tally:
        step = tally.first_bad_step()
        if step is not None:
            raise self._non_finite(float(tally.losses[step - 1]), step)
        return tally

    def _non_finite(self, loss: float, step: int) -> NonFiniteLossError:
        kept = f"the checkpoint of epoch {len(self.metrics)} is kept" if self.metrics else "no epoch was finished"
        return NonFiniteLossError(
            f"{self.folder.path}: the loss is {loss} at step {step} of epoch {len(self.metrics) + 1}"
            f"{self._first_bad_parameter()}; {kept}. A smaller --optimizer.learning-rate (for hidden layers) or "
            "--optimizer.readout-learning-rate (for all other weights) may help"
        )

    def _first_bad_parameter(self) -> str:
        for name, parameter in self.network.named_parameters():
            if not bool(parameter.isfinite().all()):
                return f" ({name} holds values that are not finite)"
        return ""

    def _mean(self, value: float) -> float:
        """Over all processes."""
        if self.accelerator.num_processes == 1:
            return value
        return float(self.accelerator.reduce(torch.tensor(value, device=self.accelerator.device), "mean"))

    @property
    def _bare(self) -> nn.Module:
        """The network that learns, without what makes it run on many processes."""
        return self.accelerator.unwrap_model(self.network)

    @property
    def _result(self) -> nn.Module:
        """The network that is tested and kept."""
        return self._bare if self.averaged is None else self.averaged.module

    def _evaluate(self, images: Images) -> tuple[float, float]:
        return evaluate(self._result, self.preprocessing, images)

    # What is kept --------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """All that a resumed run needs to go on as if it had never stopped."""
        return {
            "network": self._bare.state_dict(),
            "averaged": self.averaged.state_dict() if self.averaged is not None else None,
            "optimizer": self.optimizer.state_dict(),
            "protocol": self.protocol.state_dict(),
            "loader": self.loader.state_dict(),
            "scaler": self.accelerator.scaler.state_dict() if self.accelerator.scaler else None,
            "random": random_state(self.accelerator.device),
            "metrics": self.metrics,
            "stopped": self.stopped,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint.

        Raises:
            RunError: it does not fit this run's network.
        """
        try:
            self._bare.load_state_dict(state["network"])
            if self.averaged is not None:
                self.averaged.load_state_dict(state["averaged"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.protocol.load_state_dict(state["protocol"])
            self.loader.load_state_dict(state["loader"])
            if state["scaler"]:
                self.accelerator.scaler.load_state_dict(state["scaler"])
            set_random_state(self.accelerator.device, state["random"])
            self.metrics, self.stopped = list(state["metrics"]), state["stopped"]
        except (KeyError, RuntimeError, ValueError, TypeError, AttributeError) as error:
            raise RunError(
                f"{self.folder.checkpoint_file} does not fit this run ({error}); delete it to start this run again "
                "from its first epoch"
            ) from None

    def finish(self, command: str) -> None:
        """Write the results; the checkpoint has served."""
        network = self._result
        config, last = self.config, self.metrics[-1]
        summary = {
            "name": config.name,
            "dataset": config.data.dataset,
            "architecture": config.model.architecture,
            "family": config.model.family,
            "seed": config.seed,
            "epochs": len(self.metrics),
            "seconds": round(sum(epoch["seconds"] for epoch in self.metrics), 3),
            "test_accuracy": last["test_accuracy"],
            "best_test_accuracy": max(epoch["test_accuracy"] for epoch in self.metrics),
            "train_accuracy": last["train_accuracy"],
            "validation_accuracy": last["validation_accuracy"],
            "parameters": self.parameters,
            "teacher": self.teacher.description if self.teacher is not None else None,
            "versions": provenance.versions(),
            "hardware": provenance.hardware(self.accelerator.device),
            "git_commit": provenance.git_commit(),
            "command": command,
        }
        if self.accelerator.is_main_process:
            preprocessing = {f"preprocessing.{k}": v for k, v in self.preprocessing.state_dict().items()}
            self.folder.write_weights({**{f"network.{k}": v for k, v in network.state_dict().items()}, **preprocessing})
            seen = internals(network, self.preprocessing(self.test.pixels[:EVALUATION_BATCH]))
            if seen["layers"]:
                self.folder.write_json(self.folder.internals_file, seen)
            self.folder.write_json(self.folder.summary_file, summary)
            self.folder.checkpoint_file.unlink(missing_ok=True)
        self.accelerator.wait_for_everyone()
