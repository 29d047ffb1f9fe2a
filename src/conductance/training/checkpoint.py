"""The state of a training, to save and to restore."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from conductance.errors import RunError, one_line
from conductance.training.checkpoint_check import check_state
from conductance.training.randomness import random_state, seed_everything, set_random_state
from conductance.training.sharding import gathered, load_network, load_optimizer

if TYPE_CHECKING:
    from conductance.training.trainer import Trainer


def state_of(trainer: "Trainer") -> dict[str, Any]:
    """The complete state between two epochs, as tensors and plain values. All processes call this."""
    random, *others = trainer.processes.from_all(random_state(trainer.device))
    scaler = trainer.accelerator.scaler
    return {
        "network": gathered(trainer.network.state_dict()),
        "averaged": gathered(trainer.averaged.state_dict()) if trainer.averaged is not None else None,
        "optimizer": gathered(trainer.optimizer.state_dict()),
        "protocol": trainer.protocol.state_dict(),
        "loader": trainer.data.train.state_dict(),
        "scaler": scaler.state_dict() if scaler else None,
        "random": random,
        "random_of_others": others,
        "callbacks": trainer.callbacks.state_dict(),
        "metrics": trainer.history,
        "step": trainer.step,
        "stopped": trainer.stopped,
    }


def restore(trainer: "Trainer", state: Mapping[str, Any], source: object) -> None:
    """Restore a state, so that training continues as if it had never stopped.

    On another number of processes it goes on with the same batches, divided anew; a process that was not there before
    starts with random numbers of its own.

    Args:
        trainer: the trainer to change.
        state: from `state_of`.
        source: the file that holds it, for the error message.

    Raises:
        RunError: the state does not fit this network, optimizer or data.
    """
    try:
        check_state(trainer, state, state_of(trainer))
        load_network(trainer.network, state["network"])
        if trainer.averaged is not None:
            load_network(trainer.averaged, state["averaged"])
        trainer.data.train.load_state_dict(state["loader"])
        trainer.protocol = trainer.create_protocol()  # of as many steps as the batches of the state make
        load_optimizer(trainer.optimizer, state["optimizer"])
        trainer.protocol.load_state_dict(state["protocol"])
        if state["scaler"]:
            trainer.accelerator.scaler.load_state_dict(state["scaler"])
        _set_random_state(trainer, [state["random"], *state.get("random_of_others", [])], len(state["metrics"]))
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


def _set_random_state(trainer: "Trainer", states: Sequence[Mapping[str, Any]], epoch: int) -> None:
    rank = trainer.process_index
    if rank < len(states):
        set_random_state(trainer.device, states[rank])
    else:
        seed_everything(trainer.config.seed, rank, epoch)
