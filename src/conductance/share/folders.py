"""A folder that appears whole or not at all."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from secrets import token_hex

from conductance.errors import ConductanceError, InputError
from conductance.share.description import FILE, FILES


def write_folder(folder: Path, write: Callable[[Path], object], *, overwrite: bool) -> None:
    """Have ``write`` fill a new folder that then takes the place of ``folder``; a failure leaves what was there.

    Raises:
        InputError: files are there that are not of a saved network, or are and may not be overwritten.
        ConductanceError: the folder cannot be written there, or the disk is full.
    """
    folder = Path(os.path.realpath(folder))
    check_place(folder, overwrite=overwrite)
    new, old = (folder.with_name(f".{folder.name}.{token_hex(8)}.{kind}") for kind in ("new", "old"))
    try:
        new.mkdir(parents=True)
        write(new)
        if folder.exists():
            folder.rename(old)
        try:
            new.rename(folder)
        except OSError:
            if old.exists():
                old.rename(folder)
            raise
    except OSError as error:
        raise ConductanceError(
            f"cannot write {folder} ({error.strerror or error}); choose a place you may write to"
        ) from error
    finally:
        shutil.rmtree(new, ignore_errors=True)
        if folder.exists():
            shutil.rmtree(old, ignore_errors=True)


def check_place(folder: Path, *, overwrite: bool) -> None:
    """Check that a network may be saved there. Writes nothing.

    Raises:
        InputError: see `write_folder`.
    """
    try:
        inside = [file.name for file in folder.iterdir()] if folder.exists() else []
    except OSError as error:  # a file, or a folder of others
        raise InputError(f"{folder} cannot be looked into ({error.strerror}); choose another folder") from None
    foreign = [name for name in inside if name not in FILES or FILE not in inside]
    if foreign:
        raise InputError(f"{folder} holds other files ({foreign[0]}); choose a folder of its own for the network")
    if FILE in inside and not overwrite:
        raise InputError(f"{folder} holds a saved network; choose another folder, or overwrite=True")
