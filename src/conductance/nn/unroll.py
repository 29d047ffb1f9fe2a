"""Time slice after time slice, with gradients that go back through all of them, or not so far."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

from torch import Tensor
from torch.utils._pytree import tree_map
from torch.utils.checkpoint import checkpoint as recomputed

from conductance.errors import InputError

S = TypeVar("S")


def detached(state: S) -> S:
    """A state without the history of its gradients: tensors, or any nesting of tuples and dictionaries of them."""
    result: S = tree_map(lambda value: value.detach() if isinstance(value, Tensor) else value, state)
    return result


def check_unrolling(truncation: int | None, checkpoint: int | None) -> None:
    """Insist on whole numbers of steps.

    Raises:
        InputError: a number below 1.
    """
    for name, steps in (("truncation", truncation), ("checkpoint", checkpoint)):
        if steps is not None and not (isinstance(steps, int) and steps >= 1):
            raise InputError(f"{name}={steps}: give a whole number of time steps, 1 or more, or None")


def unroll(
    step: Callable[[int, S], tuple[S, Any]],
    steps: int,
    state: S,
    *,
    truncation: int | None = None,
    checkpoint: int | None = None,
    around: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> tuple[S, list[Any]]:
    """Run ``state, output = step(time, state)`` for each time.

    Args:
        step: one step.
        steps: how many.
        state: before the first one.
        truncation: let gradients go back through at most this many steps: the state is detached every so many.
        checkpoint: keep for the backward pass no more than every so many steps' state, and compute the rest again.
        around: the context in which steps run, and run again.

    Returns:
        The state after the last step, and the outputs in order.
    """

    def stretch(first: int, last: int, state: S) -> tuple[S, list[Any]]:
        outputs = []
        with around():
            for time in range(first, last):
                if truncation is not None and time and time % truncation == 0:
                    state = detached(state)
                state, output = step(time, state)
                outputs.append(output)
        return state, outputs

    if checkpoint is None:
        return stretch(0, steps, state)
    outputs: list[Any] = []
    for first in range(0, steps, checkpoint):
        last = min(first + checkpoint, steps)
        state, more = recomputed(stretch, first, last, state, use_reentrant=False)
        outputs += more
    return state, outputs
