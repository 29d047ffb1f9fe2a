"""The JSON files of a run: read, and checked for what the rest of this package uses.

Every error is one line that names the file, the field and the remedy.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from conductance.analysis.fields import unpacked_fields
from conductance.analysis.internals import BALANCE_EDGES, EDGES, TOTAL_EDGES
from conductance.errors import InputError, RunError, one_line
from conductance.printable import check_name
from conductance.reading import parse_json, read_text
from conductance.runs.config import RunConfig, config_from_dict
from conductance.runs.earlier import counted_internals, with_current_names
from conductance.runs.kinds import (
    COUNT,
    LIST,
    NUMBER,
    OBJECT,
    PERCENT,
    SECONDS,
    SEED,
    TEXT,
    Kind,
    complaint,
    or_none,
)

Record = dict[str, Any]
Fields = Mapping[str, Kind]

OWN = "own"
"""The family of networks that a `Trainer` was given, and no config describes."""

SETTINGS: Fields = {"name": TEXT, "seed": SEED, "epochs": COUNT, "model": OBJECT, "data": OBJECT}
MODEL: Fields = {"architecture": TEXT, "family": TEXT}
DATA: Fields = {"dataset": TEXT}
LOSSES: Fields = {f"{data}_loss": or_none(NUMBER) for data in ("train", "validation", "test")}
ACCURACIES: Fields = {f"{data}_accuracy": or_none(PERCENT) for data in ("train", "validation", "test")}
OF_EPOCHS: Fields = {**LOSSES, **ACCURACIES, "learning_rate": or_none(NUMBER), "seconds": SECONDS}
EPOCH: Fields = {"epoch": COUNT, "train_accuracy": PERCENT, "test_accuracy": PERCENT}
SUMMARY: Fields = {
    "name": TEXT,
    "seed": SEED,
    "epochs": COUNT,
    "test_accuracy": PERCENT,
    "best_test_accuracy": PERCENT,
    "train_accuracy": PERCENT,
    "seconds": SECONDS,
    "parameters": COUNT,
}
LAYER: Fields = {
    "name": TEXT,
    "units": COUNT,
    "active_fraction": Kind(float, 0, 1),
    **dict.fromkeys(EDGES, LIST),
    "balance": LIST,
}


_REMEDY = "delete the folder and repeat that run, or leave the folder out"
_NO_RUN = "{folder} holds no {file}, so it is not a run; give the folder of a run"


def read_settings(path: Path) -> Record:
    """A ``config.json``, with this version's names."""
    read = _checked(_parse(_text(path, _NO_RUN), path), {}, path)
    settings = _checked(with_current_names(read), SETTINGS, path)
    _checked(settings["model"], MODEL, f"{path}, 'model'")
    _checked(settings["data"], DATA, f"{path}, 'data'")
    try:
        check_name("name", settings["name"])
    except InputError as error:
        raise _unreadable(path, error) from None
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
        raise _damaged(path, f"is no config of this version ({one_line(error)})") from error


def read_summary(path: Path) -> Record:
    """A ``summary.json``."""
    summary = _checked(_parse(_text(path), path), SUMMARY, path, {**LOSSES, **ACCURACIES})
    classes = summary.get("classes")
    if classes is not None and not (isinstance(classes, list) and all(isinstance(name, str) for name in classes)):
        raise _damaged(path, "holds something else than names as 'classes'")
    return summary


def read_epochs(path: Path, *, finished: bool) -> tuple[Record, ...]:
    """The records of a ``metrics.jsonl``, one for each epoch, of a run with accuracies.

    While a run is going on, the last line may be half written; it does not count yet.
    """
    return tuple(_records(path, finished, EPOCH))


def read_history(path: Path) -> list[Record]:
    """The records of the ``metrics.jsonl`` of any finished run, as `Trainer.history` has them."""
    return list(_records(path, True, {"epoch": COUNT}))


def _records(path: Path, finished: bool, fields: Fields) -> Iterator[Record]:
    text = _text(path)
    if not finished:
        text = text[: text.rfind("\n") + 1]
    lines = [line for line in text.split("\n") if line.strip()]
    for number, line in enumerate(lines, 1):
        place = f"{path}, line {number}"
        record = _checked(_parse(line, place), fields, place, OF_EPOCHS)
        if record["epoch"] != number:
            raise _damaged(place, f"is of epoch {record['epoch']}")
        yield record


def read_failure(path: Path) -> str | None:
    """What ended a run before its time, from its ``failure.json``; None where there is none."""
    return _checked(_parse(_text(path), path), {"error": TEXT}, path)["error"] if path.exists() else None


def read_internals(path: Path) -> Record:
    """An ``internals.json``, as `conductance.analysis.internals` returns it; the form of 0.1 is converted."""
    internals = _checked(_parse(_text(path), path), {"images": COUNT, "layers": LIST}, path)
    layers = [_layer(layer, f"{path}, layer {index}") for index, layer in enumerate(internals["layers"])]
    return {**internals, "layers": layers}


def _layer(recorded: Any, place: str) -> Record:
    if not isinstance(recorded, dict):
        raise _damaged(place, "is not a JSON object")
    try:
        layer = counted_internals(recorded)
    except (ValueError, TypeError, LookupError, ArithmeticError) as error:
        raise _damaged(place, f"cannot be converted from the form of 0.1 ({one_line(error)})") from error
    _checked(layer, LAYER, place)
    for name, edges in EDGES.items():
        if len(layer[name]) != len(edges) - 1 or not all(map(_is_count, layer[name])):
            raise _damaged(f"{place}, {name!r}", f"does not hold {len(edges) - 1} counts")
    if not all(map(_is_balance, layer["balance"])):
        raise _damaged(f"{place}, 'balance'", "does not hold a count of units for each pair of bins")
    if "fields" in layer:
        try:
            unpacked_fields(layer["fields"])
        except (ValueError, TypeError, LookupError) as error:
            raise _damaged(f"{place}, 'fields'", f"holds {one_line(error)}") from error
    return layer


_is_count = COUNT.takes


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
        return read_text(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise RunError(missing.format(folder=path.parent, file=path.name)) from error
    except ValueError as error:
        raise _unreadable(path, error) from error
    except OSError as error:
        raise RunError(f"{path} cannot be read ({error.strerror}); make it readable") from error


def _parse(text: str, place: Path | str) -> Any:
    try:
        return parse_json(text)
    except ValueError as error:
        raise _unreadable(place, error) from error


def _checked(record: Any, fields: Fields, place: Path | str, optional: Fields | None = None) -> Record:
    wrong = complaint(record, fields, optional)
    if wrong is not None:
        raise _damaged(place, wrong)
    checked: Record = record
    return checked


def _unreadable(place: Path | str, error: ValueError) -> RunError:
    return RunError(f"{place} is damaged ({error}); {_REMEDY}")


def _damaged(place: Path | str, wrong: str) -> RunError:
    return RunError(f"{place} {wrong}; {_REMEDY}")
