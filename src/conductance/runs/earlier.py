"""Files that earlier versions wrote, in the form of this version."""

from collections.abc import Mapping
from typing import Any

from conductance.analysis.internals import EDGES, count_balance

PROJECTED = "projected"
"""The default of ``conductance.nonnegative`` in 0.1, by which its runs can be told."""

# Part of the config, name in 0.1, name now.
_RENAMED_FIELDS = {"optimizer": {"centred": "centered"}}
_RENAMED_VALUES = {("conductance", "activation"): {"uncut": "full_range"}}

# Another way to train the same parameters, which reports tell apart: 0.1 clamped conductances after each step.
_REPLACED_VALUES = {("conductance", "nonnegative"): {PROJECTED: "clamped"}}

# What every run did before a field existed. (Adam then moved the conductances by the absolute `learning_rate`, and the
# weights of affine layers by the `readout_learning_rate`.)
_BEFORE_THE_FIELD: dict[str, dict[str, Any]] = {
    "optimizer": {
        "name": "adam",
        "leak_learning_rate": None,
        "momentum": None,
        "block": 32,
        "centered": False,
        "homeostasis": 0.0,
        "weight_average": 0.0,
    },
    "conductance": {
        "resting_share": None,
        "activation": "relu",
        "learn_gate": False,
        "detached_denominator": False,
        "pooled_interneuron": False,
        "interneurons": 0.25,
        "slices": 2,
    },
    "model": {"branch_scale": None, "kernel": None, "dropout": None},
    "teacher": {"run": None, "share": 0.9, "temperature": 2.0},
    "data": {"image_size": 32, "preprocessing": None, "max_turn": 10.0, "max_stretch": 0.15, "max_mix": 0.0},
}


def with_current_names(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Recorded settings with this version's names for fields and values. Fields that were not recorded stay missing."""
    current = dict(settings)
    for part, names in _RENAMED_FIELDS.items():
        if isinstance(current.get(part), dict):
            current[part] = {names.get(name, name): value for name, value in current[part].items()}
    return _with_values(current, _RENAMED_VALUES)


def with_every_field(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Recorded settings as this version can build them.

    A field that did not exist yet gets the value that every run had then, and a value that is gone its replacement.
    """
    complete = _with_values(with_current_names(settings), _REPLACED_VALUES)
    for part, fields in _BEFORE_THE_FIELD.items():
        recorded = complete.get(part, {})
        if isinstance(recorded, dict):
            complete[part] = {**fields, **recorded}
    return complete


def _with_values(settings: dict[str, Any], values: Mapping[tuple[str, str], Mapping[str, str]]) -> dict[str, Any]:
    changed = dict(settings)
    for (part, field), choices in values.items():
        fields = changed.get(part)
        if isinstance(fields, dict) and isinstance(fields.get(field), str):
            changed[part] = {**fields, field: choices.get(fields[field], fields[field])}
    return changed


def counted_internals(layer: Mapping[str, Any]) -> dict[str, Any]:
    """A layer of 0.1's ``internals.json``, which held edges beside all counts, and E' and I' of every unit.

    Raises:
        ValueError: edges other than 0.1's, or E' and I' of different lengths.
    """
    current = {name: value for name, value in layer.items() if name not in ("excitation", "inhibition")}
    for name, edges in EDGES.items():
        if isinstance(layer.get(name), dict):
            if list(layer[name]["edges"]) != list(edges):
                raise ValueError(f"{name!r} is counted between other edges than this version's")
            current[name] = layer[name]["counts"]
    if "excitation" in layer:
        current["balance"] = count_balance(layer["excitation"], layer["inhibition"])
    return current
