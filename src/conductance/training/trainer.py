"""A trainer for any network and any data."""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from conductance.checked import checked
from conductance.data import Preprocessing
from conductance.data.batches import Batches
from conductance.errors import InputError
from conductance.nested import concatenate, map_tensors
from conductance.nn.modes import call, evaluating
from conductance.runs.folder import RunFolder
from conductance.training.build import as_optimizer
from conductance.training.callbacks import Callbacks
from conductance.training.config import TrainingConfig
from conductance.training.device import flushing_denormals, memory_format, reproducible
from conductance.training.epoch import train_epoch
from conductance.training.evaluation import evaluate_batches, in_float32
from conductance.training.failures import check_evaluation, require_finite_loss
from conductance.training.first_look import look_at
from conductance.training.objective import Loss, Objective
from conductance.training.processes import Processes
from conductance.training.progress import TrainingProgress
from conductance.training.protocols import Protocol, create_protocol
from conductance.training.randomness import own_random_numbers, random_state, seed_everything, set_random_state
from conductance.training.record import RunRecord, settings_of
from conductance.training.sharding import is_divided, shard
from conductance.training.sources import Sources
from conductance.training.tally import Sums, Tally, means


class Trainer:
    """Trains any network on any data.

    >>> trainer = Trainer(network, (inputs, classes), TrainingConfig(epochs=5), test=(test_inputs, test_classes))
    >>> history = trainer.fit()
    >>> accuracy = trainer.evaluate((test_inputs, test_classes))["accuracy"]
    >>> predicted_classes = trainer.predict(test_inputs).argmax(1)

    Data are ``(inputs, targets)``, each a numpy array or a tensor with the examples along the first axis; a torch
    `Dataset` or `DataLoader`; `Images`, or a whole `Dataset`, of `conductance.data`. A network with several inputs gets
    a tuple of them: ``((first, second), targets)``. Where a conductance layer reads the input, it must lie in [0, 1].

    Args:
        network: any module. It is trained in place and moved to the device.
        data: the training data. A `Dataset` of `conductance.data` includes its test images.
        config: the settings.
        validation: data to choose by, evaluated after each epoch.
        test: data to report results on, evaluated after each epoch.
        loss: ``loss(outputs, targets)``, a mean over the batch or one number for each example; by default the
            cross-entropy of classes.
        optimizer: a torch optimizer of the network's parameters, or a function that makes one from the network; by
            default the one that ``config`` describes. ``config.protocol`` schedules its learning rates in any case.
        callbacks: objects with any of the methods ``on_start``, ``on_step``, ``on_epoch`` and ``on_end``, each called
            with the trainer; a function is called after each epoch. ``on_end`` is called after an exception too. The
            state of a callback with ``state_dict`` and ``load_state_dict`` is part of a checkpoint.
        preprocessing: converts `Images` to the network's input: a kind ("unit", to [0, 1]; "scaled"; "whitened"), or a
            fitted `Preprocessing`.
        folder: where to keep the run: a checkpoint after each epoch, the metrics and, at the end, the weights.
        device: "auto" (a GPU if there is one), "cpu", "cuda" or "mps".
        sharded: of several processes, have each hold a part of every parameter only (FSDP2), for networks that are too
            large for one. A network that ``fully_shard`` has divided already is trained as it is.
        progress: whether to show a progress bar and a line for each epoch; or a rich console to print to.

    Attributes:
        network: the network.
        optimizer: its optimizer.
        optimizer_given: whether it was given, rather than described by the config.
        device: the device of the network.
        num_processes: number of processes that train together.
        process_index: number of this process, from 0. Process 0 writes and prints; callbacks are called in each.
        sharded: whether each process holds a part of the network only. It is then called by all of them together.
        history: a dict of metrics for each finished epoch: loss and accuracy (in %) on each kind of data.
        epoch: number of the current epoch, from 1; between epochs that of the last one.
        step: number of steps of the optimizer so far.
        step_loss: mean loss of the last step, a tensor on the device.
        stopped: whether training was stopped before its last epoch.
        restored_from: the checkpoint that was restored, until the first step after it.

    Raises:
        InputError: the network, data or optimizer cannot be used.
    """

    @checked
    def __init__(
        self,
        network: nn.Module,
        data: Any,
        config: TrainingConfig | None = None,
        *,
        validation: Any = None,
        test: Any = None,
        loss: Loss | None = None,
        optimizer: Optimizer | Callable[[nn.Module], Optimizer] | None = None,
        callbacks: Iterable[Any] = (),
        preprocessing: str | Preprocessing = "unit",
        folder: Path | str | None = None,
        device: str = "auto",
        sharded: bool = False,
        progress: bool | Console = True,
    ) -> None:
        self.config = config or TrainingConfig()
        self.network = network
        self.history: list[dict[str, Any]] = []
        self.epoch = 0
        self.step = 0
        self.step_loss: Tensor | None = None
        self.stopped = False
        self.looked = False
        self.restored_from: object = None
        self.remedy = "A smaller learning rate may help"
        self.callbacks = Callbacks(callbacks)
        self.objective = Objective(loss, self.config.optimizer.label_smoothing)
        self._console = progress if isinstance(progress, Console) else Console() if progress else None
        self._random: dict[str, Any] | None = None

        self.processes = Processes(device, self.config.precision)
        self.accelerator = self.processes.accelerator
        self.device, self.num_processes = self.processes.device, self.processes.count
        self.process_index = self.processes.rank
        with self.processes.together():
            self.data = Sources(data, validation, test, self.config, network, preprocessing, self.processes)
            divided = is_divided(network)
            self.sharded = self.num_processes > 1 and (sharded or divided)
            _check_sharding(self.sharded, divided, self.config, optimizer)
            if not divided:
                _move(network, self.device)
        if not divided:
            self.processes.share(network)  # before the optimizer looks at it: its steps depend on the first weights
        decay = self.config.optimizer.weight_average
        self.averaged = _running_mean(network, decay) if decay else None
        if self.sharded and not divided:
            for whole in (network, *([self.averaged.module] if self.averaged else [])):
                shard(whole, self.device, self.num_processes)
        self.optimizer_given = optimizer is not None
        with self.processes.together():
            self.optimizer = as_optimizer(optimizer, network, self.config.optimizer)
        if isinstance(optimizer, Optimizer) and not self.sharded:
            self.processes.share_optimizer(optimizer)
        self.protocol = self.create_protocol()
        self.folder = None if folder is None else Path(folder)
        self.record = None if folder is None else RunRecord(RunFolder(Path(folder)), settings_of(self))

    @property
    def steps_per_epoch(self) -> int:
        """Steps of the optimizer in an epoch."""
        return -(-len(self.data.train) // self.config.accumulate)

    @property
    def result(self) -> nn.Module:
        """The network that is evaluated and saved: the trained one, or the one with the running mean of its weights."""
        return self.network if self.averaged is None else self.averaged.module

    @property
    def place(self) -> str:
        """The folder or, without one, the name of the run; for error messages."""
        return str(self.folder or self.config.name)

    @property
    def is_main_process(self) -> bool:
        """Whether this is the process that writes and prints."""
        return self.process_index == 0

    def create_protocol(self) -> Protocol:
        """The schedule that the config names, from its start."""
        return create_protocol(self.optimizer, self.config.protocol, self.steps_per_epoch * self.config.epochs)

    def kept(self) -> str:
        """What a training that ends now leaves, for error messages."""
        if self.record is None:
            return ""
        done = len(self.history)
        return f"; the checkpoint of epoch {done} is kept" if done else "; no epoch was finished"

    def stop(self) -> None:
        """End training after the current step. Callbacks call this. The epoch is evaluated and recorded."""
        self.stopped = True

    # Training ------------------------------------------------------------------------------------------------------

    def fit(self, *, resume: bool = False) -> list[dict[str, Any]]:
        """Train until the last epoch, or until training is stopped. Called again, it continues.

        Args:
            resume: continue the run in the folder; the result is that of a run that never stopped. If the run has
                finished, its weights and metrics are loaded.

        Returns:
            A dict of metrics for each epoch, also in `history`.

        Raises:
            RunError: the folder holds another run or other files, or another process is working on it.
            InputError: the data do not fit the network.
            NonFiniteLossError: the loss became infinite or NaN. The checkpoint of the last good epoch is kept.
        """
        if resume and self.record is None:
            raise InputError("resume needs the folder of a run: Trainer(..., folder=...)")
        with (
            self._in_process(),
            own_random_numbers(self.device),
            ExitStack() as stack,
        ):
            if self.record:
                with self.processes.together():
                    stack.enter_context(self.record.kept(self))
            stack.enter_context(
                self.processes.alive(self.place, kept=self.record is not None)
            )  # whose error the record keeps
            if self._random is None:
                seed_everything(self.config.seed, self.process_index)
            else:
                set_random_state(self.device, self._random)
            try:
                if self.record is None or self.record.begin(self, resume):
                    with self.processes.together():
                        self._look_at_first_batch()
                    if self.record is not None:
                        self.record.claim(self)
                    self._train()
                    if self.record is not None:
                        self.record.finish(self)
            finally:
                self._random = random_state(self.device)
        return self.history

    def _look_at_first_batch(self) -> None:
        """Check it now if it can be had without beginning an epoch, else when it comes."""
        batch = None if self.looked else self.data.train.first()
        if batch is not None:
            look_at(self, batch)
            self.looked = True

    def _train(self) -> None:
        total, done = len(self.data.train) * self.config.epochs, len(self.data.train) * len(self.history)
        console = self._console if self.is_main_process else None
        with (
            self._prepared() as (network, optimizer),
            self._called_back(),
            TrainingProgress(self.config.name, total, done, console) as progress,
        ):
            while len(self.history) < self.config.epochs and not self.stopped:
                self.history.append(self._epoch(network, optimizer, progress))
                latest = self.history[-1]
                fitted = self.protocol.after_epoch(latest["train_loss"], latest.get("train_accuracy"))
                self.stopped = self.stopped or fitted
                progress.epoch(latest, self.config.epochs)
                self.callbacks.at("on_epoch", self)
                if self.record is not None:
                    self.record.epoch(self)

    def _epoch(self, network: nn.Module, optimizer: Any, progress: TrainingProgress) -> dict[str, Any]:
        started = time.perf_counter()
        self.epoch = len(self.history) + 1
        learning_rate = self.optimizer.param_groups[0]["lr"]
        trained = train_epoch(self, network, optimizer, progress)
        metrics = {"epoch": self.epoch, **means(self.sums_of(trained), "train_")}
        self.processes.share_buffers(self.result)
        for kind, batches in self.data.evaluated.items():
            with self.processes.together():
                tally = self._evaluate(batches)
                check_evaluation(self, tally, kind, trained.steps)
            metrics |= means(self.sums_of(tally), f"{kind}_")
        return {**metrics, "learning_rate": learning_rate, "seconds": round(time.perf_counter() - started, 3)}

    def sums_of(self, tally: Tally) -> Sums:
        """The sums of a tally over the examples of all processes."""
        return Sums(*self.processes.sum(tally.sums()))

    def sum_over_processes(self, values: Iterable[float]) -> list[float]:
        """Sum each value over all processes. All of them call this."""
        return self.processes.sum(values)

    # Using the network ---------------------------------------------------------------------------------------------

    def evaluate(self, data: Any) -> dict[str, float]:
        """Mean loss and, if the targets are classes, accuracy (in %) on data of any kind that can be trained on.

        Every process that calls this evaluates all of the data.

        Raises:
            InputError: the data do not fit the network.
            NonFiniteLossError: the loss is infinite or NaN.
        """
        with self._in_process():
            measured = means(self._evaluate(self.data.batches(data)).sums())
        require_finite_loss(self, measured["loss"])
        return measured

    def predict(self, inputs: Any) -> Any:
        """The network's outputs, in evaluation mode, for all inputs.

        Args:
            inputs: an array or a tensor with the examples along the first axis; a tuple of them for a network with
                several inputs; images of `conductance.data`; or a torch `DataLoader` or `Dataset`, whose targets are
                ignored.

        Returns:
            A tensor on the CPU, with the examples along the first axis, or a tuple or dict of tensors if the network
            returns one. ``predict(inputs).argmax(1)`` gives classes.

        Raises:
            InputError: the inputs cannot be used.
        """
        with self._in_process(), torch.no_grad(), evaluating(self.result):
            outputs = []
            for batch in self.data.inputs(inputs):
                with self.accelerator.autocast():
                    output = call(self.result, batch)
                outputs.append(map_tensors(Tensor.cpu, in_float32(output)))
        return concatenate(outputs)

    def _evaluate(self, batches: Batches) -> Tally:
        return evaluate_batches(self.result, batches, self.objective, self.device, self.accelerator.autocast)

    # Around training -----------------------------------------------------------------------------------------------

    @contextmanager
    def _in_process(self) -> Iterator[None]:
        """A context with this training's process-wide settings. Those of the rest of the program are restored."""
        with self.processes.in_force(), reproducible(self.device), flushing_denormals():
            yield

    @contextmanager
    def _prepared(self) -> Iterator[tuple[nn.Module, Any]]:
        """A context with network and optimizer wrapped for several processes and mixed precision."""
        if self.sharded:
            yield self.network, self.optimizer
            return
        had_its_own_forward = "forward" in vars(self.network)
        try:
            network, optimizer = self.accelerator.prepare(self.network, self.optimizer)
            yield network, optimizer if self.processes.needs_accelerate else self.optimizer
        finally:  # accelerate replaces forward for mixed precision
            self.accelerator.unwrap_model(self.network, keep_fp32_wrapper=False)
            if not had_its_own_forward:
                vars(self.network).pop("forward", None)

    @contextmanager
    def _called_back(self) -> Iterator[None]:
        """A context that calls on_start and, whatever ends it, on_end."""
        try:
            self.callbacks.at("on_start", self)
            yield
        finally:
            self.callbacks.at("on_end", self)


def _running_mean(network: nn.Module, decay: float) -> AveragedModel:
    """A network with the exponential running mean of all weights and statistics."""
    return AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)


def _check_sharding(sharded: bool, divided: bool, config: TrainingConfig, optimizer: Any) -> None:
    if os.environ.get("ACCELERATE_USE_FSDP", "false").lower() == "true":
        raise InputError(
            "accelerate's own FSDP is not supported; start without --use_fsdp, and give the Trainer sharded=True or "
            "conductance train --sharded"
        )
    if sharded and config.precision == "fp16":
        raise InputError("precision=fp16: its loss scaling does not work with sharded networks; choose bf16")
    if divided and config.optimizer.weight_average:
        raise InputError(
            "no running mean of weights can be made of a network that is divided; give sharded=True instead"
        )
    if sharded and not divided and isinstance(optimizer, Optimizer):
        raise InputError(
            "sharding replaces the parameters that the optimizer has; give a function that makes one of the network"
        )


def _move(network: nn.Module, device: torch.device) -> None:
    network.to(device)
    if all(parameter.ndim != 5 for parameter in network.parameters()):  # channels last is a layout of images
        network.to(memory_format=memory_format(device))  # type: ignore[call-overload]
