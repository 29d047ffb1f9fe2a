"""Protocols: how the step size changes, and when training stops."""

from math import cos, pi
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, ReduceLROnPlateau

from conductance.runs.config import ProtocolConfig


class OneCycle:
    """Up in a line to the peak, then down along a cosine to 0; stops after the given epochs."""

    def __init__(self, optimizer: Optimizer, config: ProtocolConfig, total_steps: int) -> None:
        rise = max(1, round(config.warmup * total_steps))

        def factor(step: int) -> float:
            if step < rise:
                return (step + 1) / rise
            return 0.5 * (1 + cos(pi * (step - rise) / max(1, total_steps - rise)))

        self.schedule = LambdaLR(optimizer, factor)

    def after_step(self) -> None:
        """To be called after each step of the optimizer."""
        self.schedule.step()

    def after_epoch(self, train_loss: float, train_accuracy: float | None) -> bool:
        """Whether to stop before the last epoch: never."""
        del train_loss, train_accuracy
        return False

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs."""
        return {"last_epoch": self.schedule.last_epoch}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there, by the steps of the optimizer that was loaded."""
        self.schedule.last_epoch = state["last_epoch"]
        self.schedule.base_lrs = [group["initial_lr"] for group in self.schedule.optimizer.param_groups]


class Plateau:
    """The paper's (section 4.3): a tenth of the step after ``patience`` epochs without a lower training loss."""

    def __init__(self, optimizer: Optimizer, config: ProtocolConfig) -> None:
        # torch counts the epochs it tolerates, the paper those that elapse; eps=0, or steps below 1e-8 would stay
        patience = max(0, config.patience - 1)
        self.schedule = ReduceLROnPlateau(optimizer, factor=0.1, patience=patience, threshold=0, eps=0)
        self.stop_above = config.stop_train_accuracy

    def after_step(self) -> None:
        """The step size changes only between epochs."""

    def after_epoch(self, train_loss: float, train_accuracy: float | None) -> bool:
        """Whether the training set is fitted."""
        self.schedule.step(train_loss)
        return train_accuracy is not None and train_accuracy > self.stop_above

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs."""
        return {"best": float(self.schedule.best), "bad_epochs": self.schedule.num_bad_epochs}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.schedule.best, self.schedule.num_bad_epochs = state["best"], state["bad_epochs"]


class Constant:
    """The step size never changes."""

    def after_step(self) -> None:
        """Nothing."""

    def after_epoch(self, train_loss: float, train_accuracy: float | None) -> bool:
        """Whether to stop before the last epoch: never."""
        del train_loss, train_accuracy
        return False

    def state_dict(self) -> dict[str, Any]:
        """Nothing is kept."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing is taken up."""


def create_protocol(optimizer: Optimizer, config: ProtocolConfig, total_steps: int) -> OneCycle | Plateau | Constant:
    """The protocol that ``config`` names."""
    if config.name == "constant":
        return Constant()
    return OneCycle(optimizer, config, total_steps) if config.name == "onecycle" else Plateau(optimizer, config)
