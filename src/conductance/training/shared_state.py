"""Keeps the settings of several accelerate.Accelerators in one process apart."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from accelerate.state import AcceleratorState, GradientState, PartialState

_STATES = (PartialState, AcceleratorState, GradientState)


class SharedState:
    """One set of accelerate's settings.

    accelerate stores device, precision and gradient accumulation once for the whole process, so that creating a second
    `Accelerator` changes the first. Within ``with state.in_force():`` the settings of this object apply, and outside it
    those of all others. Create and use an accelerator within the block only.

    >>> state = SharedState()
    >>> with state.in_force():
    ...     accelerator = Accelerator(mixed_precision="bf16")
    """

    def __init__(self) -> None:
        self._settings: list[dict[str, Any]] = [{} for _ in _STATES]

    @contextmanager
    def in_force(self) -> Iterator[None]:
        """A context in which these settings apply."""
        others = _exchange(self._settings)
        try:
            yield
        finally:
            self._settings = _exchange(others)


def _exchange(settings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Replace the current settings, and return them."""
    before = [dict(state._shared_state) for state in _STATES]
    for state, its_settings in zip(_STATES, settings, strict=True):
        # in place: existing accelerators refer to this very dictionary
        state._shared_state.clear()
        state._shared_state.update(its_settings)
    return before
