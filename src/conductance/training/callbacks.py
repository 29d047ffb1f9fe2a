"""Callbacks: functions of the user that are called during training."""

from collections.abc import Iterable, Mapping
from typing import Any

from conductance.errors import InputError, UnknownNameError

MOMENTS = ("on_start", "on_step", "on_epoch", "on_end")
"""Methods that a callback can have. Each is called with the trainer."""


class Callbacks:
    """A list of callbacks, called in order.

    Args:
        callbacks: objects with one or more of the methods in `MOMENTS`; a function is called as ``on_epoch``.

    Raises:
        InputError: a callback has none of these methods and is not a function.
        UnknownNameError: a callback has another method whose name begins with ``on_``.
    """

    def __init__(self, callbacks: Iterable[Any]) -> None:
        self.callbacks = list(callbacks)
        for callback in self.callbacks:
            _check(callback)

    def at(self, moment: str, trainer: Any) -> None:
        """Call this method of each callback that has it."""
        for callback in self.callbacks:
            method = getattr(callback, moment, None)
            if method is None and moment == "on_epoch" and not _moments_of(callback):
                method = callback
            if method is not None:
                method(trainer)

    def state_dict(self) -> list[Any]:
        """The states of all callbacks that have a ``state_dict``, in order."""
        return [callback.state_dict() for callback in self._with_state()]

    def load_state_dict(self, states: list[Any]) -> None:
        """Restore the states of these callbacks.

        Raises:
            ValueError: a different number of callbacks has a state.
        """
        for callback, state in zip(self._with_state(), states, strict=True):
            callback.load_state_dict(state)

    def _with_state(self) -> list[Any]:
        return [callback for callback in self.callbacks if hasattr(callback, "state_dict")]


def _moments_of(callback: Any) -> list[str]:
    return [moment for moment in MOMENTS if callable(getattr(callback, moment, None))]


def _check(callback: Any) -> None:
    if isinstance(callback, (type, Mapping)):
        raise InputError(
            f"{callback!r} is not a callback; give an object with a method such as on_epoch, or a function"
        )
    for name in dir(callback):
        if name.startswith("on_") and name not in MOMENTS and callable(getattr(callback, name)):
            raise UnknownNameError(f"method of the callback {type(callback).__name__}", name, MOMENTS)
    if not _moments_of(callback) and not callable(callback):
        raise InputError(
            f"the callback {type(callback).__name__} has none of the methods {', '.join(MOMENTS)} and is not a function"
        )
