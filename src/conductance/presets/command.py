"""The command that trains a given config."""

import shlex
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from conductance.data import FOLDER
from conductance.presets.named import PRESETS, get_preset
from conductance.runs import RunConfig
from conductance.runs.names import preset_name


def train_command(config: RunConfig, preset: str | None = None, data_dir: Path | None = None) -> str:
    """``conductance train`` with a preset and an option for every choice that differs from it.

    Args:
        config: the complete run.
        preset: where to start from; where left out, the one that the config is named after, else that of its data set,
            architecture and family.
        data_dir: the folder of images, for the data set "folder"; other data sets are found anywhere.

    Raises:
        UnknownNameError: there is no such preset.
    """
    preset = preset or _nearest(config)
    options = [option for option in _options(get_preset(preset), config) if option[0] != "--seed"]
    words = [word for option in options for word in option]
    if data_dir is not None and config.data.dataset == FOLDER:
        words.append(f"--data-dir={data_dir}")
    return shlex.join(["conductance", "train", preset, "--seed", str(config.seed), *words])


def _nearest(config: RunConfig) -> str:
    """The preset to start from."""
    if config.name in PRESETS:
        return config.name
    return preset_name(config.data.dataset, config.model.architecture, config.model.family)


def _options(there: Any, here: Any, prefix: str = "") -> list[list[str]]:
    found = []
    for field in fields(here):
        old, new = getattr(there, field.name), getattr(here, field.name)
        if is_dataclass(new):
            found += _options(old, new, f"{prefix}{field.name}.")
        elif old != new:
            found.append(_option(prefix, field.name.replace("_", "-"), new))
    return found


def _option(prefix: str, name: str, value: Any) -> list[str]:
    if isinstance(value, bool):
        return [f"--{prefix}{'' if value else 'no-'}{name}"]
    if isinstance(value, str):  # in one word, for a value may begin with a dash
        return [f"--{prefix}{name}={value}"]
    values = value if isinstance(value, tuple) else (value,)
    return [f"--{prefix}{name}", *map(str, values)]
