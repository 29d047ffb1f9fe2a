"""Errors for a loss that is infinite or NaN."""

import math
from typing import TYPE_CHECKING

from conductance.errors import RunError
from conductance.sharded import own_part
from conductance.training.tally import Tally

if TYPE_CHECKING:
    from conductance.training.trainer import Trainer


class NonFiniteLossError(RunError):
    """The loss is infinite or NaN."""


def check_tally(trainer: "Trainer", tally: Tally) -> None:
    """Check the losses of an epoch so far.

    Raises:
        NonFiniteLossError: a loss is infinite or NaN.
    """
    step = tally.first_bad_step()
    if step is not None:
        data_are_bad = not bool(tally.finite[step - 1])
        raise non_finite_loss(trainer, float(tally.losses[step - 1]), step, data_are_bad)


def check_evaluation(trainer: "Trainer", tally: Tally, kind: str, step: int) -> None:
    """Check the losses of an evaluation that follows the given step of an epoch.

    Raises:
        NonFiniteLossError: a loss is infinite or NaN, because of the data or of the last step of the epoch.
    """
    batch = tally.first_bad_step()
    if batch is None:
        return
    if not bool(tally.finite[batch - 1]):
        raise NonFiniteLossError(
            f"{trainer.place}: the {kind} data hold NaN or infinite values (in batch {batch} of {tally.steps}). Remove "
            "them from the data"
        )
    raise non_finite_loss(trainer, float(tally.losses[batch - 1]), step)


def non_finite_loss(trainer: "Trainer", loss: float, step: int, data_are_bad: bool = False) -> NonFiniteLossError:
    """The error: what happened and where, which checkpoint is left, and what may help."""
    where, kept = f"{trainer.place}: the loss is {loss} at step {step} of epoch {trainer.epoch}", trainer.kept()
    if data_are_bad:
        row = getattr(trainer.data.train, "first_bad_row", str)()
        found = f" ({row} is the first)" if row else ""
        return NonFiniteLossError(
            f"{where}: the data of this batch hold NaN or infinite values{found}{kept}. Remove them from the data"
        )
    return NonFiniteLossError(f"{where}{_first_bad_parameter(trainer)}{kept}. {trainer.remedy}")


def require_finite_loss(trainer: "Trainer", loss: float) -> None:
    """Check the loss of an evaluation that follows no training.

    Raises:
        NonFiniteLossError: it is infinite or NaN.
    """
    if not math.isfinite(loss):
        raise NonFiniteLossError(
            f"{trainer.place}: the loss on these data is {loss}{_first_bad_parameter(trainer)}; look for NaN or "
            "infinite values in the data and in the network (conductance.check)"
        )


def _first_bad_parameter(trainer: "Trainer") -> str:
    for name, parameter in trainer.network.named_parameters():
        if not bool(own_part(parameter.detach()).isfinite().all()):
            return f" ({name} holds values that are not finite)"
    return ""
