"""The one JSON file of a saved network: what it is, what it reads, how well it does, and where it is from."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import conductance
from conductance.errors import SavedNetworkError
from conductance.reading import parse_json, read_text
from conductance.share.structure import Tree

FORMAT = 1
FILE = "conductance.json"
WEIGHTS_FILE = "model.safetensors"
CARD_FILE = "README.md"
PICTURE_FILE = "inside.svg"
FILES = (FILE, WEIGHTS_FILE, CARD_FILE, PICTURE_FILE)
"""All that a folder of a saved network holds."""

_OPTIONAL = (type(None),)


@dataclass
class Description:
    """What is known about a saved network.

    Attributes:
        network: the class that it is made of.
        whole: whether ``modules`` say all of it; otherwise the class is code of others, which has to make it.
        modules: trees of `structure`, by the names at which they stand; a single one, "", for a whole network.
        families: the families of layers in it.
        parameters: how many numbers it has learnt.
        same: further names of tensors that have several.
        frozen: parameters that do not learn.
        not_in_place: modules that may not write into their input.
        preprocessing: its ``kind``, and ``scale`` and ``shift`` of each channel; None where there is none.
        input_shape: (channels, height, width) of an image.
        classes: the name of each class.
        accuracy: what was measured, by name: numbers, and the words that say of what.
        command: what trains such a network.
        origin: seed, commit, versions and hardware of its run.
        version: of the package that wrote it.
    """

    network: str
    whole: bool
    modules: dict[str, Tree]
    families: list[str] = field(default_factory=list)
    parameters: int = 0
    same: dict[str, str] = field(default_factory=dict)
    frozen: list[str] = field(default_factory=list)
    not_in_place: list[str] = field(default_factory=list)
    preprocessing: dict[str, Any] | None = None
    input_shape: list[int] | None = None
    classes: list[str] | None = None
    accuracy: dict[str, Any] | None = None
    command: str | None = None
    origin: dict[str, Any] | None = None
    version: str = conductance.__version__

    def to_dict(self) -> dict[str, Any]:
        """What the file holds.

        Raises:
            TypeError, ValueError: something is no plain value, or not finite.
        """
        values = {"format": FORMAT, **{each.name: getattr(self, each.name) for each in fields(self)}}
        json.dumps(values, allow_nan=False)
        return values


_TYPES: dict[str, tuple[type, ...]] = {
    "network": (str,),
    "whole": (bool,),
    "modules": (dict,),
    "families": (list,),
    "parameters": (int,),
    "same": (dict,),
    "frozen": (list,),
    "not_in_place": (list,),
    "preprocessing": (dict, *_OPTIONAL),
    "input_shape": (list, *_OPTIONAL),
    "classes": (list, *_OPTIONAL),
    "accuracy": (dict, *_OPTIONAL),
    "command": (str, *_OPTIONAL),
    "origin": (dict, *_OPTIONAL),
    "version": (str,),
}

_ELEMENTS: dict[str, type] = {
    "modules": dict,
    "families": str,
    "same": str,
    "frozen": str,
    "not_in_place": str,
    "input_shape": int,
    "classes": str,
}
"""What is in those that hold several."""


def read_description(folder: Path) -> Description:
    """The description in a folder.

    Raises:
        SavedNetworkError: there is none, it is damaged, or a newer version wrote it.
    """
    file = folder / FILE
    try:
        values = parse_json(read_text(file))
    except (FileNotFoundError, NotADirectoryError):
        raise SavedNetworkError(
            f"{folder} holds no {FILE}, so no network was saved there; give a folder that conductance.save has written"
        ) from None
    except OSError as error:
        raise SavedNetworkError(f"{file} cannot be read ({error.strerror}); make it readable") from None
    except ValueError as error:
        raise damaged(file, str(error)) from None
    if not isinstance(values, dict):
        raise damaged(file, "no JSON object")
    return _checked(values, file)


def _checked(values: Mapping[str, Any], file: Path) -> Description:
    found, version = values.get("format"), values.get("version")
    if not isinstance(found, int) or isinstance(found, bool):
        raise damaged(file, "it names no format")
    if found > FORMAT:
        raise newer(file, version)
    for name, types in _TYPES.items():
        if name not in values:
            raise damaged(file, f"it lacks {name!r}")
        if not isinstance(values[name], types):
            raise damaged(file, f"{name!r} is a {type(values[name]).__name__}")
        inside = values[name].values() if isinstance(values[name], dict) else values[name] or ()
        if name in _ELEMENTS and not all(isinstance(each, _ELEMENTS[name]) for each in inside):
            raise damaged(file, f"{name!r} holds what it should not")
    return Description(**{name: values[name] for name in _TYPES})


def is_newer(version: str) -> bool:
    """Whether a version of the package is a later one than this."""
    said, here = (
        [int(part) for part in re.findall(r"\d+", each)[:3]] for each in (version[:50], conductance.__version__)
    )
    return said > here


def newer(file: Path, version: object) -> SavedNetworkError:
    """The error about a file of a newer version."""
    return SavedNetworkError(
        f"{file} was written by conductance {version}, and this is {conductance.__version__}, which cannot read it; "
        "update: pip install --upgrade conductance"
    )


def damaged(file: Path, why: str) -> SavedNetworkError:
    """The error about a file that cannot be used."""
    return SavedNetworkError(f"{file} is damaged ({why}); save or download it again")
