"""The file that a run is resumed from: written whole, checked byte by byte, read as plain data."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from conductance.errors import RunError, one_line
from conductance.files import write_atomically
from conductance.tensor_files import AlteredError, read_torch

FORMAT = "conductance-checkpoint-2"


def write(path: Path, state: Mapping[str, Any]) -> None:
    """Save a state of tensors and plain values."""
    contents = io.BytesIO()  # torch's own writer hides the reason when a disk is full
    torch.save({"format": FORMAT, **state}, contents)
    write_atomically(path, lambda file: file.write(contents.getbuffer()))


def read(path: Path) -> dict[str, Any]:
    """The state in a file. No code in it is ever executed.

    Raises:
        RunError: the file is damaged, or is no checkpoint of this package.
    """
    try:
        state = read_torch(path, verify=True)
    except Exception as error:  # zip, pickle and torch each raise their own kinds
        reason = one_line(error) if isinstance(error, (OSError, AlteredError)) else type(error).__name__
        raise RunError(f"{path} is damaged ({reason}); {remedy(path)}") from None
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise RunError(f"{path} is not a {FORMAT} file; {remedy(path)}")
    return state


def remedy(path: Path) -> str:
    """What helps where a checkpoint is of no use."""
    return f"delete {path} to start this run again from its first epoch"
