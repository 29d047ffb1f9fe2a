"""Names that have moved: they work for one more release, and say where they are now."""

import warnings
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def moved(module: str, names: Mapping[str, str]) -> Callable[[str], Any]:
    """A module's ``__getattr__`` for names that now live elsewhere.

    Args:
        module: the old module, ``__name__``.
        names: for each name the module that has it now.
    """

    def find(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        warnings.warn(
            f"{module}.{name} has moved to {names[name]}.{name}; the old name goes in 0.3",
            DeprecationWarning,
            stacklevel=2,
        )
        return getattr(import_module(names[name]), name)

    return find
