"""The state of a training, to save and to restore."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from conductance.errors import RunError, one_line
from conductance.training.checkpoint_check import check_state
from conductance.training.randomness import random_state, set_random_state

if TYPE_CHECKING:
    from conductance.training.trainer import Trainer


def state_of(trainer: "Trainer") -> dict[str, Any]:
    """The complete state between two epochs, as tensors and plain values."""
    scaler = trainer.accelerator.scaler
    return {
        "network": trainer.network.state_dict(),
        "averaged": trainer.averaged.state_dict() if trainer.averaged is not None else None,
        "optimizer": trainer.optimizer.state_dict(),
        "protocol": trainer.protocol.state_dict(),
        "loader": trainer.data.train.state_dict(),
        "scaler": scaler.state_dict() if scaler else None,
        "random": random_state(trainer.device),
        "callbacks": trainer.callbacks.state_dict(),
        "metrics": trainer.history,
        "step": trainer.step,
        "stopped": trainer.stopped,
    }


def restore(trainer: "Trainer", state: Mapping[str, Any], source: object) -> None:
    """Restore a state, so that training continues as if it had never stopped.

    Args:
        trainer: the trainer to change.
        state: from `state_of`.
        source: the file that holds it, for the error message.

    Raises:
        RunError: the state does not fit this network, optimizer or data.
    """
    try:
        check_state(trainer, state, state_of(trainer))
        trainer.network.load_state_dict(state["network"])
        if trainer.averaged is not None:
            trainer.averaged.load_state_dict(state["averaged"])
        trainer.optimizer.load_state_dict(state["optimizer"])
        trainer.protocol.load_state_dict(state["protocol"])
        trainer.data.train.load_state_dict(state["loader"])
        if state["scaler"]:
            trainer.accelerator.scaler.load_state_dict(state["scaler"])
        set_random_state(trainer.device, state["random"])
        trainer.callbacks.load_state_dict(state.get("callbacks", []))
        trainer.history, trainer.stopped = list(state["metrics"]), state["stopped"]
        trainer.epoch = len(trainer.history)
        trainer.step = state.get("step", trainer.steps_per_epoch * len(trainer.history))
    except Exception as error:  # whatever foreign values bring
        raise does_not_fit(source, error) from None
    trainer.restored_from = source


def does_not_fit(source: object, error: Exception) -> RunError:
    """The error about a checkpoint that cannot be continued from."""
    return RunError(
        f"{source} does not fit this run ({one_line(error):.300}); delete it to start this run again from its first "
        "epoch"
    )
