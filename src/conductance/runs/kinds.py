"""What the fields of a file may hold, in code and in words."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

LARGEST_COUNT = 2**53
"""Above it, sums of counts no longer fit into 64 bits, and a float no longer holds every integer."""


@dataclass(frozen=True)
class Kind:
    """A type, and for numbers a range; a bool is no number here.

    Attributes:
        type: int, float (which takes integers too), bool, str, list or dict.
        low: the least number.
        high: the greatest number.
        optional: whether None is taken too.
    """

    type: type
    low: float = -math.inf
    high: float = math.inf
    optional: bool = False

    def takes(self, value: Any) -> bool:
        """Whether this is one."""
        if value is None:
            return self.optional
        if self.type not in (int, float):
            return isinstance(value, self.type)
        if isinstance(value, bool) or not isinstance(value, int if self.type is int else (int, float)):
            return False
        return math.isfinite(value) and self.low <= value <= self.high

    def __str__(self) -> str:
        words = {int: "a whole number", float: "a number", bool: "true or false", str: "text", list: "a list"}
        return words.get(self.type, "an object") + self._range() + (", or null" if self.optional else "")

    def _range(self) -> str:
        if math.isinf(self.low):
            return ""
        return f" of at least {self.low:g}" if math.isinf(self.high) else f" from {self.low:g} to {self.high:g}"


TEXT, LIST, OBJECT = Kind(str), Kind(list), Kind(dict)
NUMBER = Kind(float, -1e300, 1e300)
COUNT = Kind(int, 0, LARGEST_COUNT)
PERCENT = Kind(float, 0, 100)
SECONDS = Kind(float, 0, 1e12)
SEED = Kind(int, 0, 2**32 - 1)


def or_none(kind: Kind) -> Kind:
    """The same, or None."""
    return Kind(kind.type, kind.low, kind.high, optional=True)


def complaint(record: Any, fields: Mapping[str, Kind], optional: Mapping[str, Kind] | None = None) -> str | None:
    """What is wrong with a record, in words; None if nothing is.

    Args:
        record: what was read.
        fields: what each field that it must have may hold.
        optional: the same, of fields that may be missing.
    """
    if not isinstance(record, dict):
        return "is not a JSON object"
    for name in fields:
        if name not in record:
            return f"lacks {name!r}"
    for name, kind in {**fields, **(optional or {})}.items():
        if name in record and not kind.takes(record[name]):
            return f"holds {shown(record[name])} as {name!r}, which is of the wrong type: it must be {kind}"
    return None


def shown(value: Any) -> str:
    """A value in an error message, cut to a readable length."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
