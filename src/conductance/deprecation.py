"""Names that have changed: the old ones work for one more release, and say what is in their place."""

import warnings
from collections.abc import Callable, Mapping
from functools import wraps
from importlib import import_module
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def moved(module: str, names: Mapping[str, str]) -> Callable[[str], Any]:
    """A module's ``__getattr__`` for names that now live elsewhere.

    Args:
        module: the old module, ``__name__``.
        names: for each name the module that has it now, or ``module:name`` if it has another name there.
    """

    def find(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        home, _, current = names[name].partition(":")
        current = current or name
        warnings.warn(
            f"{module}.{name} has moved to {home}.{current}; the old name goes in 0.3",
            DeprecationWarning,
            stacklevel=2,
        )
        return getattr(import_module(home), current)

    return find


def renamed_arguments(**names: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorate a function whose keyword arguments have new names, so that it takes the old ones too.

    Args:
        names: for each old name the new one.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> R:
            for old, new in names.items():
                if old in kwargs:
                    if new in kwargs:
                        raise TypeError(f"{function.__name__}() got {new} and {old}, which is its old name")
                    warnings.warn(
                        f"{function.__name__}({old}=...) is now {new}=...; the old name goes in 0.3",
                        DeprecationWarning,
                        stacklevel=2,
                    )
                    kwargs[new] = kwargs.pop(old)
            return function(*args, **kwargs)

        return call

    return decorate
