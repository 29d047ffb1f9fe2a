"""The JSON files of a run folder, read and checked for what a report uses."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from conductance.errors import RunError
from conductance.runs.config import with_current_names

Record = dict[str, Any]
Fields = Mapping[str, type | tuple[type, ...]]

NUMBER = (int, float)
CONFIG: Fields = {"name": str, "seed": int, "epochs": int, "model": dict, "data": dict}
MODEL: Fields = {"architecture": str, "family": str}
DATA: Fields = {"dataset": str}
EPOCH: Fields = {"epoch": int, "train_accuracy": NUMBER, "test_accuracy": NUMBER}
SUMMARY: Fields = {
    "test_accuracy": NUMBER,
    "best_test_accuracy": NUMBER,
    "train_accuracy": NUMBER,
    "seconds": NUMBER,
    "parameters": int,
}
HISTOGRAMS = ("excitatory_conductance", "inhibitory_conductance", "z", "p")
LAYER: Fields = {
    "name": str,
    "units": int,
    "excitation": list,
    "inhibition": list,
    "active_fraction": NUMBER,
    **dict.fromkeys(HISTOGRAMS, dict),
}


def read_config(path: Path) -> Record:
    """What a run set out to do."""
    config = _checked(with_current_names(_parse(_text(path), path)), CONFIG, path)
    _checked(config["model"], MODEL, f"{path}, 'model'")
    _checked(config["data"], DATA, f"{path}, 'data'")
    return config


def read_summary(path: Path) -> Record:
    """How a run ended."""
    return _checked(_parse(_text(path), path), SUMMARY, path)


def read_epochs(path: Path, *, finished: bool) -> tuple[Record, ...]:
    """One record an epoch; the half-written last line of a run still going is no epoch yet."""
    text = _text(path)
    if not finished:
        text = text[: text.rfind("\n") + 1]
    lines = [(number, line) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
    return tuple(
        _checked(_parse(line, f"{path}, line {number}"), EPOCH, f"{path}, line {number}") for number, line in lines
    )


def read_internals(path: Path) -> Record:
    """The conductances and outputs of a trained network, a histogram a layer."""
    internals = _checked(_parse(_text(path), path), {"images": int, "layers": list}, path)
    for index, layer in enumerate(internals["layers"]):
        _check_layer(layer, f"{path}, layer {index}")
    return internals


def _check_layer(layer: Any, place: str) -> None:
    if not isinstance(layer, dict):
        raise _damaged(place, "is not a JSON object")
    _checked(layer, LAYER, place)
    for name in HISTOGRAMS:
        histogram = _checked(layer[name], {"edges": list, "counts": list}, f"{place}, {name!r}")
        if not histogram["counts"] or len(histogram["edges"]) != len(histogram["counts"]) + 1:
            raise _damaged(f"{place}, {name!r}", "does not have one edge more than counts")
        if name.endswith("conductance") and not histogram["edges"][0] > 0:
            raise _damaged(f"{place}, {name!r}", "has an edge at or below 0, which a logarithmic axis cannot show")
    if len(layer["excitation"]) != len(layer["inhibition"]):
        raise _damaged(place, "has excitation and inhibition of different lengths")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise _damaged(path, "is missing") from error
    except UnicodeDecodeError as error:
        raise _damaged(path, "is not UTF-8 text") from error
    except OSError as error:
        raise RunError(f"{path} cannot be read ({error.strerror}); make it readable") from error


def _parse(text: str, place: Path | str) -> Record:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise _damaged(place, f"is not valid JSON ({error})") from error
    if not isinstance(value, dict):
        raise _damaged(place, "is not a JSON object")
    return value


def _checked(record: Record, fields: Fields, place: Path | str) -> Record:
    for key, kind in fields.items():
        if key not in record:
            raise _damaged(place, f"lacks {key!r}")
        if not isinstance(record[key], kind):
            raise _damaged(place, f"holds {record[key]!r} as {key!r}, which is of the wrong type")
    return record


def _damaged(place: Path | str, complaint: str) -> RunError:
    return RunError(f"{place} {complaint}; repeat that run, or leave its folder out of the report")
