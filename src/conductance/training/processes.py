"""The processes of one training, and what they tell each other."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from accelerate import DistributedType
from torch import Tensor, nn
from torch.optim import Optimizer

from conductance.errors import ConductanceError, InputError, RunError, one_line
from conductance.runs.config import Precision
from conductance.training.device import create_accelerator
from conductance.training.sharding import in_state
from conductance.training.shared_state import SharedState

Value = TypeVar("Value")


class LostProcessError(RunError):
    """Another process of the same training has ended, or does not answer."""


class Processes:
    """The processes of one training, as ``torchrun`` or ``accelerate launch`` has started them; else this one alone.

    Every method but `in_force` is called by all of them, in the same order, because each waits for the others.

    Args:
        device: "auto", "cpu", "cuda" or "mps".
        precision: "no", "bf16" or "fp16".

    Attributes:
        accelerator: the `Accelerator`; to be used within ``with processes.in_force()``.
        device: the device of this process.
        rank: number of this process, from 0. Process 0 writes and prints.
        count: number of processes.
        needs_accelerate: whether a step has to go through accelerate: several processes, or a scaler of gradients. Its
            wrappers look for packages and inspect signatures at each step, which takes longer than a small network.

    Raises:
        InputError: see `conductance.training.device.check_device`.
    """

    def __init__(self, device: str, precision: Precision) -> None:
        self._shared = SharedState()
        with self._shared.in_force():
            self.accelerator = create_accelerator(device, precision)
            # outside of this block the accelerator's attributes are another one's
            self.device: torch.device = self.accelerator.device
            self.count: int = self.accelerator.num_processes
            self.rank: int = self.accelerator.process_index
            alone = self.accelerator.distributed_type == DistributedType.NO
            self.needs_accelerate = not alone or self.accelerator.scaler is not None
            self._is_ahead: bool = self.accelerator.is_local_main_process

    @contextmanager
    def in_force(self) -> Iterator[None]:
        """A context with accelerate's settings for this training; those of others are restored."""
        with self._shared.in_force():
            yield

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of a loss to those that there are."""
        (self.accelerator if self.needs_accelerate else Tensor).backward(loss)

    def sum(self, values: Iterable[float]) -> list[float]:
        """Sum each value over all processes."""
        values = list(values)
        if self.count == 1:
            return values
        total = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.all_reduce(total)
        return total.tolist()

    def from_first(self, make: Callable[[], Value]) -> Value:
        """Have process 0 make a value, and give it to all of them. If it fails, all of them fail."""
        with self.together():
            made = [make() if self.rank == 0 else None]
        if self.count > 1:
            dist.broadcast_object_list(made, 0)
        return made[0]  # type: ignore[return-value]

    def one_ahead(self, make: Callable[[], Value]) -> Value:
        """Have each process make a value, the first one of each machine before the others: it may download a file."""
        made: list[Value] = []
        for turn in (True, False):
            with self.together():
                if self._is_ahead == turn:
                    made.append(make())
        return made[0]

    def from_all(self, value: Value) -> list[Value]:
        """The values of all processes, in their order."""
        if self.count == 1:
            return [value]
        values: list[Any] = [None] * self.count
        dist.all_gather_object(values, value)
        return values

    def share(self, network: nn.Module) -> None:
        """Give the network of process 0 to all of them, with what it holds beside its parameters."""
        self._share_state(network)
        self.share_buffers(network)  # also those that are not part of a state

    def share_optimizer(self, optimizer: Optimizer) -> None:
        """Give the options and the state that an optimizer has in process 0 to those of all of them."""
        self._share_state(optimizer)

    def _share_state(self, stateful: nn.Module | Optimizer) -> None:
        if self.count > 1:
            state = self.from_first(lambda: in_state(Tensor.cpu, stateful.state_dict()))
            if self.rank > 0:
                stateful.load_state_dict(state)

    @torch.no_grad()
    def share_buffers(self, network: nn.Module) -> None:
        """Give the buffers of process 0 to all of them: each has its own running means of BatchNorm."""
        for buffer in network.buffers() if self.count > 1 else ():
            sent = buffer.detach().contiguous()
            dist.broadcast(sent, 0)
            buffer.copy_(sent)

    @contextmanager
    def together(self) -> Iterator[None]:
        """A block that fails in all processes if it fails in one. Within it none waits for another.

        Raises:
            RunError: the block has failed in another process.
        """
        error: Exception | None = None
        try:
            yield
        except Exception as raised:
            error = raised
        if self.count > 1:
            failed = self.from_all(None if error is None else one_line(error))
            if error is None and any(failed):
                rank = next(rank for rank, message in enumerate(failed) if message)
                error = RunError(f"process {rank}: {failed[rank]}")
            if isinstance(error, ConductanceError):
                error.silent = self.rank > 0
        if error is not None:
            raise error

    @contextmanager
    def alive(self, place: str, *, kept: bool) -> Iterator[None]:
        """A block in which the end of another process is an error of one line, which one process alone tells.

        Args:
            place: what the processes work on.
            kept: whether its epochs are kept in a folder.

        Raises:
            LostProcessError: another process has ended, or does not answer.
            InputError: a parameter has no part in the loss.
        """
        try:
            yield
        except Exception as error:
            if self.count == 1:
                raise
            told = self._explained(error, place, kept)
            if isinstance(told, ConductanceError) and told.silent is None:
                told.silent = not self._speaks_first()
            if told is error:
                raise
            raise told from None

    def _explained(self, error: Exception, place: str, kept: bool) -> Exception:
        """What an error of torch's means here; the error itself if it is another one."""
        if _is_lost(error):
            lost = f"{place}: another of the {self.count} processes has ended or does not answer"
            if not kept:
                return LostProcessError(f"{lost}; start all of them again")
            return LostProcessError(
                f"{lost}; every epoch that was finished is kept. Start all of them again and resume, on as many or on "
                "another number"
            )
        if isinstance(error, RuntimeError) and "finished reduction in the prior iteration" in str(error):
            return InputError(
                f"{place}: a parameter of the network has no part in the loss, and several processes wait for its "
                "gradient; leave it out, or give it requires_grad_(False)"
            )
        return error

    def _speaks_first(self) -> bool:
        """Whether no other process has told yet what ended this training."""
        try:
            return dist.distributed_c10d._get_default_store().add("conductance/told", 1) == 1
        except RuntimeError:  # process 0 kept the store, and is lost
            return self.rank == 1


def _is_lost(error: Exception) -> bool:
    """Whether a message between processes has failed. Those of gloo are plain errors that name their source file."""
    return isinstance(error, dist.DistError) or (isinstance(error, RuntimeError) and "gloo" in str(error))
