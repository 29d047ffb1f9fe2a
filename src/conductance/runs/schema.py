"""The JSON files of a run: read, and checked for what the rest of this package uses.

Every error is one line that names the file, the field and the remedy.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from conductance.analysis.internals import BALANCE_EDGES, EDGES, TOTAL_EDGES
from conductance.errors import RunError
from conductance.runs.config import RunConfig, config_from_dict
from conductance.runs.earlier import counted_internals, with_current_names

Record = dict[str, Any]
Fields = Mapping[str, type | tuple[type, ...]]

OWN = "own"
"""The family of networks that a `Trainer` was given, and no config describes."""

NUMBER = (int, float)
SETTINGS: Fields = {"name": str, "seed": int, "epochs": int, "model": dict, "data": dict}
MODEL: Fields = {"architecture": str, "family": str}
DATA: Fields = {"dataset": str}
EPOCH: Fields = {"epoch": int, "train_accuracy": NUMBER, "test_accuracy": NUMBER}
SUMMARY: Fields = {
    "name": str,
    "seed": int,
    "epochs": int,
    "test_accuracy": NUMBER,
    "best_test_accuracy": NUMBER,
    "train_accuracy": NUMBER,
    "seconds": NUMBER,
    "parameters": int,
}
LAYER: Fields = {"name": str, "units": int, "active_fraction": NUMBER, **dict.fromkeys(EDGES, list), "balance": list}


_REMEDY = "repeat that run, or leave its folder out"
_NO_RUN = "{folder} holds no {file}, so it is not a run; give the folder of a run"


def read_settings(path: Path) -> Record:
    """A ``config.json``, with this version's names."""
    settings = _checked(with_current_names(_parse(_text(path, _NO_RUN), path)), SETTINGS, path)
    _checked(settings["model"], MODEL, f"{path}, 'model'")
    _checked(settings["data"], DATA, f"{path}, 'data'")
    return settings


def config_of(settings: Record, path: Path) -> RunConfig:
    """The config that ``settings``, read from ``path``, stand for."""
    if settings["model"]["family"] == OWN:
        raise RunError(
            f"{path} is of a network of your own, which no config describes; build the network, and load its weights "
            "with Trainer(network, ..., folder=...).fit(resume=True)"
        )
    try:
        return config_from_dict(settings)
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        raise _damaged(path, f"is no config of this version ({error})") from error


def read_summary(path: Path) -> Record:
    """A ``summary.json``."""
    return _checked(_parse(_text(path), path), SUMMARY, path)


def read_epochs(path: Path, *, finished: bool) -> tuple[Record, ...]:
    """The records of a ``metrics.jsonl``, one for each epoch.

    While a run is going on, the last line may be half written; it does not count yet.
    """
    text = _text(path)
    if not finished:
        text = text[: text.rfind("\n") + 1]
    lines = [(f"{path}, line {number}", line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    return tuple(_checked(_parse(line, place), EPOCH, place) for place, line in lines)


def read_internals(path: Path) -> Record:
    """An ``internals.json``, as `conductance.analysis.internals` returns it; the form of 0.1 is converted."""
    internals = _checked(_parse(_text(path), path), {"images": int, "layers": list}, path)
    layers = [_layer(layer, f"{path}, layer {index}") for index, layer in enumerate(internals["layers"])]
    return {**internals, "layers": layers}


def _layer(recorded: Any, place: str) -> Record:
    if not isinstance(recorded, dict):
        raise _damaged(place, "is not a JSON object")
    try:
        layer = counted_internals(recorded)
    except (ValueError, TypeError, LookupError) as error:
        raise _damaged(place, f"cannot be converted from the form of 0.1 ({error})") from error
    _checked(layer, LAYER, place)
    for name, edges in EDGES.items():
        if len(layer[name]) != len(edges) - 1 or not all(map(_is_count, layer[name])):
            raise _damaged(f"{place}, {name!r}", f"does not hold {len(edges) - 1} counts")
    if not all(map(_is_balance, layer["balance"])):
        raise _damaged(f"{place}, 'balance'", "does not hold a count of units for each pair of bins")
    return layer


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and value >= 0


def _is_balance(cell: Any) -> bool:
    """Whether these are a bin of total conductance, a bin of balance and a count."""
    return (
        isinstance(cell, list)
        and len(cell) == 3
        and all(map(_is_count, cell))
        and cell[0] < len(TOTAL_EDGES) - 1
        and cell[1] < len(BALANCE_EDGES) - 1
    )


def _text(path: Path, missing: str = "{folder} lacks {file}; " + _REMEDY) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise RunError(missing.format(folder=path.parent, file=path.name)) from error
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
    return RunError(f"{place} {complaint}; {_REMEDY}")
