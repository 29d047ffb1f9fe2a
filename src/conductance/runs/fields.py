"""The settings of a run, nested by part, as one flat mapping that can be compared field by field; and its names."""

import json
from collections.abc import Mapping
from typing import Any

# How exactly products are computed: no other training, so runs that differ in it alone are of one recipe.
OF_THE_HARDWARE = frozenset({"precision"})


def flat_fields(settings: Mapping[str, Any]) -> dict[str, Any]:
    """``{"data": {"max_shift": 2}}`` as ``{"data.max_shift": 2}``; values as JSON has them, so tuples are lists."""
    return dict(_flat(json.loads(json.dumps(settings)), ""))


def _flat(settings: Mapping[str, Any], prefix: str) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in settings.items():
        found += _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else [(f"{prefix}{name}", value)]
    return found


def differing_fields(there: Mapping[str, Any], here: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Both values of every field in which two nested settings differ, by its flat name; None where one lacks it."""
    old, new = flat_fields(there), flat_fields(here)
    return {
        name: (old.get(name), new.get(name))
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    }


def preset_name(dataset: str, architecture: str, family: str) -> str:
    """What a preset, its runs and a cell of the paper's tables are called.

    >>> preset_name("fashion_mnist", "cnn", "cwa")
    'fashion-mnist-cnn-cwa'
    """
    return f"{dataset.replace('_', '-')}-{architecture}-{family}"


def run_folder_name(name: str, seed: int) -> str:
    """What the folder of a run is called where nobody gives it another name.

    >>> run_folder_name("mnist-cnn-cwa", 0)
    'mnist-cnn-cwa-seed0'
    """
    return f"{name}-seed{seed}"
