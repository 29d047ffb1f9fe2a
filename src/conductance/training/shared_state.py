"""Accelerate's settings, which it keeps once for the whole process."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from accelerate.state import AcceleratorState, GradientState, PartialState

_STATES = (PartialState, AcceleratorState, GradientState)


class SharedState:
    """A set of accelerate's settings that is in force for a block at a time.

    All accelerators of a process share one device, precision and accumulation of gradients, so that making a second
    one changes the first. Each `SharedState` starts empty: an accelerator made inside its block gets settings of its
    own, and those of other accelerators are back in force when the block ends.

    >>> state = SharedState()
    >>> with state.in_force():
    ...     accelerator = Accelerator(mixed_precision="bf16")
    """

    def __init__(self) -> None:
        self._settings: list[dict[str, Any]] = [{} for _ in _STATES]

    @contextmanager
    def in_force(self) -> Iterator[None]:
        """For a block."""
        others = _exchange(self._settings)
        try:
            yield
        finally:
            self._settings = _exchange(others)


def _exchange(settings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put these settings in place of those in force, and give those back."""
    before = [dict(state._shared_state) for state in _STATES]
    for state, its_settings in zip(_STATES, settings, strict=True):
        # the dictionary itself stays: existing accelerators hold on to it
        state._shared_state.clear()
        state._shared_state.update(its_settings)
    return before
