"""Two configs, compared field by field."""

import json
from collections.abc import Mapping
from typing import Any

HARDWARE_FIELDS = frozenset({"precision"})
"""Fields that say how exactly products are computed. Runs that differ in these alone are trained alike."""


def flat_fields(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Nested settings as one mapping; values as JSON has them, so tuples become lists.

    >>> flat_fields({"data": {"max_shift": 2}})
    {'data.max_shift': 2}
    """
    return dict(_flat(json.loads(json.dumps(settings)), ""))


def _flat(settings: Mapping[str, Any], prefix: str) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in settings.items():
        found += _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else [(f"{prefix}{name}", value)]
    return found


def differing_fields(there: Mapping[str, Any], here: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Each field in which two nested settings differ, with both values; None where one lacks the field."""
    old, new = flat_fields(there), flat_fields(here)
    return {
        name: (old.get(name), new.get(name))
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    }
