"""Arguments of another kind than their annotations say: one line, before anything is done with them."""

import inspect
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cache, wraps
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np
import torch
from torch import Tensor, nn

from conductance.errors import InputError

Checked = TypeVar("Checked", bound=Callable[..., Any])

LONGEST = 60  # characters of a value in a message
LARGEST_INTEGER = 2**63 - 1  # what torch counts with


def checked(target: Checked) -> Checked:
    """Refuse arguments that are not what the annotations of a function, or of a class's constructor, say.

    Numbers must be numbers (not NaN, no flags, integers of at most 64 bits), flags True or False, sequences lists,
    tuples or arrays of what they are to hold. Which numbers make sense, and which strings are names, the target says.

    Raises:
        InputError: from the target, for the first argument that is something else.
    """
    if isinstance(target, type):
        target.__init__ = checked(target.__init__)  # type: ignore[misc]
        return target

    @wraps(target)
    def call(*args: Any, **kwargs: Any) -> Any:
        if not torch.compiler.is_compiling():
            check_arguments(target, args, kwargs)
        return target(*args, **kwargs)

    return call  # type: ignore[return-value]


def check_arguments(function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Insist on arguments of the kinds that the annotations of a function say; missing ones are Python's matter."""
    signature, hints = _annotations(function)
    try:
        given = signature.bind(*args, **kwargs).arguments
    except TypeError:  # the call itself says so
        return
    for name, value in given.items():
        hint = hints.get(name)
        if hint is not None and not _admits(hint, value, signature.parameters[name].kind):
            place = type(args[0]).__name__ if function.__name__ == "__init__" else function.__qualname__
            if {*_flat(hint)} <= {nn.Module, NoneType}:
                raise InputError(no_network(name, value))
            raise InputError(f"{place}: {name}={shown(value)}; give {wanted(hint)}")


def require_counts(**counts: int) -> None:
    """Insist on numbers of things, of which there must be one at least.

    Raises:
        InputError: one is below 1.
    """
    for name, count in counts.items():
        if count < 1:
            raise InputError(f"{name}={count}: must be 1 or more")


@cache
def _annotations(function: Callable[..., Any]) -> tuple[inspect.Signature, dict[str, Any]]:
    unknown: dict[str, Any] = {}  # of names that only type checkers import, nothing is asked
    while True:
        try:
            return inspect.signature(function), get_type_hints(function, localns=unknown)
        except NameError as error:
            unknown[error.name or ""] = Any


def _admits(hint: Any, value: Any, kind: Any) -> bool:
    if kind is inspect.Parameter.VAR_POSITIONAL:
        return all(admits(hint, each) for each in value)
    if kind is inspect.Parameter.VAR_KEYWORD:
        return all(admits(hint, each) for each in value.values())
    return admits(hint, value)


def admits(hint: Any, value: Any) -> bool:
    """Whether a value is what an annotation says."""
    origin, parts = get_origin(hint), get_args(hint)
    if isinstance(hint, TypeVar):
        return hint.__bound__ is None or admits(hint.__bound__, value)
    if origin in (Union, UnionType):
        if isinstance(value, str) and torch.device in parts:
            return _is_device(value)
        if Tensor in parts and len({*parts} - {Tensor, NoneType}) and not _is_flag(value) and _holds_numbers(value):
            return True  # whoever takes tensors or numbers makes a tensor of them, and looks at each
        return any(admits(part, value) for part in parts)
    if origin is Literal:  # which names there are, the function says best
        return any(type(value) is type(part) for part in parts)
    if hint in _OF_NUMBERS:
        return _OF_NUMBERS[hint](value)
    if origin is type:
        return isinstance(value, type)
    if origin is None:
        return hint is Any or not isinstance(hint, type) or _is_instance(value, hint)
    return _admits_many(origin, parts, value)


def _admits_many(origin: type, parts: tuple[Any, ...], value: Any) -> bool:
    """Whether a value is a container of what it is to hold, or can be called."""
    if isinstance(value, str) and issubclass(origin, Iterable):
        return False
    if issubclass(origin, Sequence) and isinstance(value, np.ndarray) and value.ndim > 0:
        value = value.tolist()
    if not isinstance(value, (list, tuple) if origin is tuple else origin):
        return False
    if isinstance(value, Mapping) and issubclass(origin, Mapping):
        return not parts or all(admits(parts[0], key) and admits(parts[1], each) for key, each in value.items())
    if not parts or not isinstance(value, (list, tuple, set, frozenset)) or origin not in _CONTAINERS:
        return True
    if origin is tuple and Ellipsis not in parts:
        return len(value) == len(parts) and all(map(admits, parts, value))
    return all(admits(parts[0], each) for each in value)


_CONTAINERS = (list, tuple, set, frozenset, Collection, Iterable, Sequence)


def _is_instance(value: Any, kind: type) -> bool:
    try:
        return isinstance(value, kind)
    except TypeError:  # a protocol that cannot be asked
        return True


def _holds_numbers(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "biuf"
    if isinstance(value, (list, tuple)):
        return len(value) > 0 and all(map(_holds_numbers, value))
    return isinstance(value, (Tensor, bool, float)) or is_integer(value)


def _is_device(name: str) -> bool:
    try:
        torch.device(name)
    except RuntimeError:
        return False
    return True


def _is_flag(value: Any) -> bool:
    return isinstance(value, (bool, np.bool_))


def is_integer(value: Any) -> bool:
    """Whether it is a whole number that torch can count with."""
    if isinstance(value, torch.SymInt):
        return True
    return isinstance(value, Integral) and not _is_flag(value) and abs(int(value)) <= LARGEST_INTEGER


def is_number(value: Any) -> bool:
    """Whether it is a real number, or a tensor of one: neither NaN nor a flag, and no integer of over 64 bits."""
    if isinstance(value, Tensor):
        return value.ndim == 0 and not value.is_complex() and (value.is_meta or not bool(value.isnan()))
    if isinstance(value, (torch.SymInt, torch.SymFloat)):
        return True
    if isinstance(value, Integral):
        return is_integer(value)
    return isinstance(value, Real) and not math.isnan(value)


_OF_NUMBERS: dict[Any, Callable[[Any], bool]] = {
    None: lambda value: value is None,
    NoneType: lambda value: value is None,
    bool: _is_flag,
    int: is_integer,
    float: is_number,
}


# What a message says --------------------------------------------------------------------------------------------------


def no_network(name: str, value: Any) -> str:
    """That a value is no module; of what holds one, as the report of `convert` does, it says where."""
    held = [each for each in ("model", "network", "network_") if isinstance(getattr(value, each, None), nn.Module)]
    remedy = f"give its .{held[0]}" if held else "give an nn.Module"
    return f"the {name} is a {type(value).__name__}, which is no network; {remedy}"


def shown(value: Any) -> str:
    """A value in a few words, on one line."""
    if isinstance(value, (Tensor, np.ndarray)):
        return f"{type(value).__name__} of shape {tuple(value.shape)}"
    if isinstance(value, Integral) and abs(int(value)) > LARGEST_INTEGER:
        return "an integer of more than 64 bits"
    try:
        text = " ".join(repr(value).split())
    except Exception:  # whatever a foreign object does
        text = type(value).__name__
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def wanted(hint: Any) -> str:
    """What an annotation asks for, in words.

    >>> wanted(int | tuple[int, ...] | None)
    'an integer, a tuple of integers or None'
    """
    parts = [_name(part) for part in _flat(hint)]
    parts = sorted(dict.fromkeys(parts), key=lambda part: part == "None")
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} or {parts[-1]}"


def _flat(hint: Any) -> list[Any]:
    origin = get_origin(hint)
    if isinstance(hint, TypeVar):
        return _flat(hint.__bound__)
    if origin in (Union, UnionType):
        return [inner for part in get_args(hint) for inner in _flat(part)]
    return list(map(repr, get_args(hint))) if origin is Literal else [hint]


_NAMES = {bool: "True or False", int: "an integer", float: "a number", str: "a string", None: "None", NoneType: "None"}
_PLURALS = {bool: "flags", int: "integers", float: "numbers", str: "strings", Any: "values"}


def _name(hint: Any) -> str:
    if isinstance(hint, str) or hint in _NAMES:
        return _NAMES.get(hint, hint)
    origin = get_origin(hint)
    if origin is None:
        return _with_article(hint.__name__)
    if origin is type:
        return "a class"
    if origin is Callable or not get_args(hint):
        return "a function" if origin is Callable else _with_article(origin.__name__)
    return f"{_with_article(origin.__name__.lower())} of {_plural(_first(hint))}"


def _plural(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return " or ".join(map(repr, get_args(hint)))
    if hint in _PLURALS or not get_args(hint):
        return _PLURALS.get(hint) or hint.__name__.removesuffix("s") + "s"
    if get_origin(hint) in (Union, UnionType):
        return " or ".join(map(_plural, _flat(hint)))
    return f"{get_origin(hint).__name__.lower()}s of {_plural(_first(hint))}"


def _first(hint: Any) -> Any:
    return get_args(hint)[-1 if issubclass(get_origin(hint), Mapping) else 0]


def _with_article(name: str) -> str:
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"
