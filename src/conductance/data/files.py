"""Finding the files of a data set, and checking that they are the published ones."""

import gzip
import os
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import md5, sha256
from pathlib import Path
from typing import Protocol

from conductance.errors import DataError
from conductance.extras import import_extra

ENVIRONMENT_VARIABLE = "CONDUCTANCE_DATA"
SYSTEM_FOLDER = Path("/usr/share/datasets")
"""The folder of data sets in Debian packages such as dataset-fashion-mnist."""

DAMAGE = (OSError, EOFError, zlib.error, ValueError)
"""The exceptions of reading, unzipping and verifying a damaged file."""

MD5_DIGITS = 32
"""Hexadecimal digits of an MD5 checksum; a SHA-256 has twice as many."""


@dataclass(frozen=True)
class FileSet:
    """The files of one data set.

    Attributes:
        title: the name of the data set as its authors write it.
        folders: places of the files below a data folder. The first is torchvision's, where downloads go; the last,
            ".", is for a data folder that holds the files itself.
        checksums: each file's name, and the SHA-256 or the MD5 of its uncompressed contents, in hexadecimal.
        lengths: the number of bytes of these contents, or a bound of it. No more is ever read.
        addresses: web addresses of the files, the official one first. One that ends in a slash is a
            folder of .gz files; one that ends in .tar.gz is an archive of the first of `folders`.
    """

    title: str
    folders: tuple[str, ...]
    checksums: Mapping[str, str]
    lengths: Mapping[str, int]
    addresses: tuple[str, ...]


def user_cache() -> Path:
    """The user's cache folder; it need not exist."""
    platformdirs = import_extra("platformdirs", "to find the user's cache folder", "train")
    return platformdirs.user_cache_path("conductance")


def data_folders(data_dir: Path | None) -> Iterator[Path]:
    """Yield the folders to search, in order: `data_dir`, $CONDUCTANCE_DATA, the cache, the system's folder.

    Raises:
        DataError: one of the first two is given and is not a folder.
    """
    if data_dir is not None:
        yield _existing(data_dir, "the data folder")
    if named := os.environ.get(ENVIRONMENT_VARIABLE):
        yield _existing(Path(named).expanduser(), f"${ENVIRONMENT_VARIABLE}")
    yield user_cache()
    yield SYSTEM_FOLDER


def find_copy(files: FileSet, data_folder: Path) -> Path | None:
    """The folder at or below `data_folder` that holds every one of the files, or None."""
    folders = (data_folder / folder for folder in files.folders)
    return next((folder for folder in folders if not missing_files(files, folder)), None)


def missing_files(files: FileSet, folder: Path) -> list[str]:
    """The names of the files that `folder` holds neither plain nor gzipped."""
    return [name for name in files.checksums if _stored(folder, name) is None]


def read_verified(files: FileSet, folder: Path) -> dict[str, bytes]:
    """The uncompressed contents of every file, by name.

    Raises:
        DataError: a file cannot be read or is not the published one.
    """
    return {name: _read(files, folder, name) for name in files.checksums}


class Readable(Protocol):
    """What gives its bytes bit by bit."""

    def read(self, size: int, /) -> bytes:
        """Up to ``size`` bytes."""


def uncompressed(path: Path, most: int) -> bytes:
    """The contents of `path`, unzipped if its name ends in .gz; raises one of `DAMAGE` if that fails.

    No more than one byte beyond `most` is unzipped: a few kilobytes may stand for gigabytes.
    """
    if path.suffix == ".gz":
        with gzip.open(path) as unzipped:
            return at_most(unzipped, most)
    with path.open("rb") as file:
        return at_most(file, most)


def at_most(file: "Readable", most: int) -> bytes:
    """What a file holds, up to `most` bytes; raises a ValueError if there is more."""
    contents = file.read(most + 1)
    if len(contents) > most:
        raise ValueError(f"it holds more than the {most:,} bytes that are published")
    return contents


def verify(contents: bytes, checksum: str) -> None:
    """Compare the SHA-256 or MD5 of `contents` with the published one; raises a ValueError if they differ."""
    name, algorithm = ("MD5", md5) if len(checksum) == MD5_DIGITS else ("SHA-256", sha256)
    if (found := algorithm(contents, usedforsecurity=False).hexdigest()) != checksum:
        raise ValueError(f"truncated or altered: the {name} of its {len(contents):,} bytes is {found}")


def _existing(folder: Path, meaning: str) -> Path:
    if not folder.is_dir():
        raise DataError(f"{meaning} {folder} is not a folder: create it, or name another")
    return folder


def _stored(folder: Path, name: str) -> Path | None:
    candidates = (folder / name, folder / f"{name}.gz")
    return next(
        (path for path in candidates if os.path.isfile(path)), None
    )  # False, too, for folders that may not be read


def _read(files: FileSet, folder: Path, name: str) -> bytes:
    path = _stored(folder, name) or folder / name
    try:
        contents = uncompressed(path, files.lengths[name])
        verify(contents, files.checksums[name])
    except DAMAGE as error:
        raise DataError(
            f"{path} is not the published file of {files.title}: {error}. "
            "Replace it, or delete it and allow the download, "
            f"or name another folder with --data-dir or ${ENVIRONMENT_VARIABLE}"
        ) from error
    return contents
