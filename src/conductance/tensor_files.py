"""Files of tensors: safetensors, which hold numbers, with a checksum; and torch's own, of which no code is run."""

import zipfile
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from conductance.errors import InputError, one_line
from conductance.extras import import_extra
from conductance.files import write_atomically
from conductance.finite import not_finite

CHECKSUM = "sha256"
"""Name of the checksum in the header of a file. Files of other programs and of earlier versions have none."""


def write_tensors(file: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors, atomically; views that share memory are written apart.

    Raises:
        ConductanceError: the file cannot be written, or a tensor has a type that the format does not have.
    """
    safetensors = import_extra("safetensors.torch", "to save weights", "hub")
    own = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    try:
        contents = safetensors.save(own, metadata={"format": "pt", CHECKSUM: checksum(own)})
    except Exception as error:  # a type that the format does not have
        raise InputError(f"the weights cannot be saved as safetensors: {one_line(error)}") from None
    write_atomically(file, lambda opened: opened.write(contents))


def read_tensors(file: Path) -> dict[str, Tensor]:
    """The tensors in a file, on the CPU.

    Raises:
        OSError: it cannot be read.
        ValueError: it is damaged, altered, or holds infinite values or NaN; the message is one line.
    """
    safetensors = import_extra("safetensors", "to load weights", "hub")
    if file.exists() and not file.is_file():
        raise ValueError("it is not a regular file")
    with file.open("rb"):  # what safetensors says of a file that it may not read is of another kind
        pass
    try:
        with safetensors.safe_open(file, "pt") as opened:
            said = (opened.metadata() or {}).get(CHECKSUM)
            tensors = {name: opened.get_tensor(name).clone() for name in opened.keys()}  # noqa: SIM118 (no dict)
    except Exception as error:  # whatever damage brings
        raise ValueError(one_line(error)) from None
    if said is not None and said != checksum(tensors):
        raise ValueError("it does not hold what was written: its checksum is another")
    refused = not_finite(tensors)
    if refused:
        raise ValueError(refused)
    return tensors


def checksum(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of names, types, shapes and values, in hexadecimal."""
    digest = sha256()
    for name in sorted(tensors):
        value = tensors[name].contiguous()
        digest.update(repr((name, str(value.dtype), tuple(value.shape))).encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().data if value.numel() else b"")
    return digest.hexdigest()


class AlteredError(Exception):
    """A file of torch is not as it was written."""


def read_torch(file: Path, *, verify: bool = False) -> Any:
    """What `torch.save` has written, on the CPU, of tensors and plain values. No code in it is ever executed.

    Args:
        file: the file.
        verify: whether to compare every part with its checksum, which torch itself does not.

    Raises:
        Exception: whatever damage brings; an `AlteredError` for what torch would read without a word.
    """
    _check_archive(file, verify)
    # mapped: a tensor that claims more than the file holds is refused, where a copy would read beyond its memory
    return _own(torch.load(file, map_location="cpu", weights_only=True, mmap=True))


def _check_archive(file: Path, verify: bool) -> None:
    with zipfile.ZipFile(file) as archive:
        if any(part.compress_type != zipfile.ZIP_STORED for part in archive.infolist()):
            raise AlteredError("a part of it is compressed, which torch never does")
        if sum(part.file_size for part in archive.infolist()) > file.stat().st_size:
            raise AlteredError("its parts are larger than the file")
        if verify and archive.testzip() is not None:
            raise AlteredError("a checksum is wrong")


def _own(value: Any) -> Any:
    """The same values in memory of their own, not in that of the file."""
    if isinstance(value, Tensor):
        return value.clone()
    if isinstance(value, dict):
        for name in value:
            value[name] = _own(value[name])
        return value
    return type(value)(map(_own, value)) if type(value) in (list, tuple) else value
