"""Whether values are of the types that the fields of a config are annotated with."""

from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

_WORDS: dict[Any, str] = {
    int: "a whole number",
    float: "a finite number",
    bool: "True or False",
    str: "text",
    NoneType: "None",
}


_NUMERALS = {2: "two", 3: "three"}


def fits(kind: Any, value: Any) -> bool:
    """Whether a value is of an annotated type: int, float, bool, str, None, a tuple, a choice of words, or a union.

    A whole number is a float too, but a bool is no number.
    """
    if get_origin(kind) in (Union, UnionType):
        return any(fits(option, value) for option in get_args(kind))
    if get_origin(kind) is Literal:
        return isinstance(value, str)  # whether it is one of the words is another question
    if get_origin(kind) is tuple:
        return isinstance(value, (tuple, list)) and _fits_each(get_args(kind), tuple(value))
    if kind in (int, float) and isinstance(value, bool):
        return False
    if kind is float:
        return isinstance(value, (int, float)) and abs(value) != float("inf") and abs(value) < 2**1000
    return isinstance(value, kind)


def _fits_each(kinds: tuple[Any, ...], values: tuple[Any, ...]) -> bool:
    if kinds[-1] is Ellipsis:
        return all(fits(kinds[0], value) for value in values)
    return len(kinds) == len(values) and all(map(fits, kinds, values))


def in_words(kind: Any) -> str:
    """The type, for an error message.

    >>> in_words(tuple[int, ...] | None)
    'a sequence of whole numbers, or None'
    """
    if get_origin(kind) in (Union, UnionType):
        return ", or ".join(map(in_words, get_args(kind)))
    if get_origin(kind) is tuple:
        each = in_words(get_args(kind)[0]).removeprefix("a ")
        return (
            f"a sequence of {each}s"
            if Ellipsis in get_args(kind)
            else f"{_NUMERALS.get(len(get_args(kind)), 'several')} {each.removeprefix('finite ')}s"
        )
    return "text" if get_origin(kind) is Literal else _WORDS[kind]
