"""Protocols: the schedule of the learning rate, and when training stops."""

from math import cos, pi
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, ReduceLROnPlateau

from conductance.runs.config import ProtocolConfig


class OneCycle:
    """Linear warm-up to the peak, then cosine decay to 0. Never stops early."""

    def __init__(self, optimizer: Optimizer, config: ProtocolConfig, total_steps: int) -> None:
        rise = max(1, round(config.warmup * total_steps))

        def factor(step: int) -> float:
            if step < rise:
                return (step + 1) / rise
            return 0.5 * (1 + cos(pi * (step - rise) / max(1, total_steps - rise)))

        self.schedule = LambdaLR(optimizer, factor)

    def after_step(self) -> None:
        """Set the learning rate of the next step. Call this after each step of the optimizer."""
        self.schedule.step()

    def after_epoch(self, train_loss: float, train_accuracy: float | None) -> bool:
        """Returns whether to stop early: never."""
        del train_loss, train_accuracy
        return False

    def state_dict(self) -> dict[str, Any]:
        """The state to resume from."""
        return {"last_epoch": self.schedule.last_epoch}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state. Load the optimizer first: its learning rates are the base."""
        self.schedule.last_epoch = state["last_epoch"]
        self.schedule.base_lrs = [group["initial_lr"] for group in self.schedule.optimizer.param_groups]


class Plateau:
    """The paper's schedule (section 4.3): divide by 10 after ``patience`` epochs without a lower training loss."""

    def __init__(self, optimizer: Optimizer, config: ProtocolConfig) -> None:
        # torch counts the epochs that it tolerates, the paper those that pass; torch's own eps would end at 1e-8
        patience = max(0, config.patience - 1)
        self.schedule = ReduceLROnPlateau(optimizer, factor=0.1, patience=patience, threshold=0, eps=0)
        self.stop_above = config.stop_train_accuracy

    def after_step(self) -> None:
        """Does nothing: the learning rate changes only between epochs."""

    def after_epoch(self, train_loss: float, train_accuracy: float | None) -> bool:
        """Update the learning rate. Returns whether the training set is fitted, so that training can stop."""
        self.schedule.step(train_loss)
        return train_accuracy is not None and train_accuracy > self.stop_above

    def state_dict(self) -> dict[str, Any]:
        """The state to resume from."""
        return {"best": float(self.schedule.best), "bad_epochs": self.schedule.num_bad_epochs}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state."""
        self.schedule.best, self.schedule.num_bad_epochs = state["best"], state["bad_epochs"]


class Constant:
    """A constant learning rate."""

    def after_step(self) -> None:
        """Does nothing."""

    def after_epoch(self, train_loss: float, train_accuracy: float | None) -> bool:
        """Returns whether to stop early: never."""
        del train_loss, train_accuracy
        return False

    def state_dict(self) -> dict[str, Any]:
        """There is no state."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """There is no state."""


Protocol = OneCycle | Plateau | Constant


def create_protocol(optimizer: Optimizer, config: ProtocolConfig, total_steps: int) -> Protocol:
    """The protocol that ``config`` names."""
    if config.name == "constant":
        return Constant()
    return OneCycle(optimizer, config, total_steps) if config.name == "onecycle" else Plateau(optimizer, config)
