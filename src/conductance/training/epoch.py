"""One epoch: forward passes, backward passes and steps of the optimizer."""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import islice
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from conductance.data import DeviceLoader
from conductance.data.batches import Batch
from conductance.errors import ConductanceError
from conductance.nested import to_device
from conductance.nn.modes import evaluating
from conductance.training.checkpoint import does_not_fit
from conductance.training.evaluation import forward, in_float32
from conductance.training.failures import check_tally
from conductance.training.first_look import check_open_probabilities, look_at
from conductance.training.objective import examples_in
from conductance.training.progress import TrainingProgress
from conductance.training.sharding import gradients_kept
from conductance.training.tally import Tally

if TYPE_CHECKING:
    from conductance.training.trainer import Trainer

SECONDS_BETWEEN_LOOKS = 0.5  # reading the loss waits for the device, so it is not read at every step


def train_epoch(trainer: "Trainer", network: nn.Module, optimizer: Any, progress: TrainingProgress) -> Tally:
    """Train on every batch once, or until `Trainer.stop` is called.

    Args:
        trainer: the trainer; its network and optimizer change.
        network: its network, wrapped for several processes and mixed precision.
        optimizer: its optimizer, likewise.
        progress: the progress display.

    Returns:
        The sums of loss and correct answers over the batches of this process.

    Raises:
        NonFiniteLossError: the loss is infinite or NaN.
        InputError: a conductance layer reads data outside [0, 1].
    """
    network.train()
    optimizer.zero_grad()  # gradients that other code, or an interrupted step, has left
    tally, looked = Tally(), time.perf_counter()
    for number, step in enumerate(_steps(trainer.data.train, trainer.config.accumulate)):
        if number == 0:
            with trainer.processes.together():
                _look(trainer, step[0])
        trainer.step_loss = _accumulate(trainer, network, step, tally, progress)
        _take_step(trainer, optimizer)
        optimizer.zero_grad()
        trainer.protocol.after_step()
        if trainer.averaged is not None:
            trainer.averaged.update_parameters(trainer.network)
        trainer.step += 1
        trainer.callbacks.at("on_step", trainer)
        everybody = trainer.processes.sum([trainer.stopped, time.perf_counter() - looked > SECONDS_BETWEEN_LOOKS])
        trainer.stopped, it_is_time = (number > 0 for number in everybody)  # for all processes if for one
        if trainer.stopped:
            break
        if it_is_time:
            looked = time.perf_counter()
            _check(trainer, tally)
            progress.show(tally.loss(), tally.accuracy())
    _check(trainer, tally)
    return tally


def _take_step(trainer: "Trainer", optimizer: Any) -> None:
    """One step of the optimizer. The first after a checkpoint shows whether its state was one of this optimizer."""
    try:
        optimizer.step()
    except Exception as error:
        if trainer.restored_from is None or isinstance(error, ConductanceError):
            raise
        raise does_not_fit(trainer.restored_from, error) from error
    trainer.restored_from = None


def _check(trainer: "Trainer", tally: Tally) -> None:
    with trainer.processes.together():
        check_tally(trainer, tally)


def _look(trainer: "Trainer", batch: Batch) -> None:
    """Check the first batch of an epoch: completely once, later only the range of data that nobody here scales."""
    if not trainer.looked:
        look_at(trainer, batch)
        trainer.looked = True
    elif not isinstance(trainer.data.train, DeviceLoader):
        check_open_probabilities(trainer.network, to_device(batch[0], trainer.device))


def _steps(batches: Iterable[Batch], accumulate: int) -> Iterator[list[Batch]]:
    """Groups of batches, one group for each step of the optimizer. The last may be smaller."""
    remaining = iter(batches)
    while step := list(islice(remaining, accumulate)):
        yield step


def _accumulate(
    trainer: "Trainer", network: nn.Module, step: Sequence[Batch], tally: Tally, progress: TrainingProgress
) -> Tensor:
    """Compute the gradient of the mean loss over all examples of a step.

    Returns:
        The mean loss over the examples of this process; 0 if it has none.
    """
    count = trainer.num_processes
    sizes = [examples_in(batch) for batch in step]
    (total,) = trainer.processes.sum([sum(sizes)])
    # a network that is not sharded was wrapped for its precision
    precision = trainer.accelerator.autocast if trainer.sharded else nullcontext
    losses = []
    for number, (batch, size) in enumerate(zip(step, sizes, strict=True), start=1):
        inputs, targets = to_device(batch, trainer.device)
        with nullcontext() if number == len(step) else _not_yet(trainer, network):
            with nullcontext() if size else evaluating(network), precision():  # another's example leaves no trace
                outputs = in_float32(forward(network, inputs))
            if tally.steps == 0:
                trainer.objective.check(outputs, targets)
            loss = trainer.objective.training_loss(inputs, outputs, targets)
            weight = size * count / total
            trainer.processes.backward(loss if weight == 1 else loss * weight)
        if size:
            tally.add(loss, size, trainer.objective.correct(outputs, targets), (inputs, targets))
        losses.append(loss.detach())
        progress.step()
    if len(step) == 1 and sizes[0]:
        return losses[0]
    sums = [loss * size for loss, size in zip(losses, sizes, strict=True)]
    return torch.stack(sums).sum() / max(1, sum(sizes))


def _not_yet(trainer: "Trainer", network: nn.Module) -> AbstractContextManager[None]:
    """A context in which gradients are added up in each process, and not yet over all of them."""
    return gradients_kept(network) if trainer.sharded else trainer.accelerator.no_sync(network)
