"""Downloading the files of a data set. Only complete and verified files are kept."""

import errno
import gzip
import os
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, cast

from conductance.data.files import (
    DAMAGE,
    ENVIRONMENT_VARIABLE,
    FileSet,
    Readable,
    at_most,
    missing_files,
    uncompressed,
    verify,
)
from conductance.data.transfer import LONGEST, transfer
from conductance.errors import DataError
from conductance.extras import import_extra

SLACK = 1 << 20
"""Bytes of an archive beside the files that it is fetched for, and of what compression may add."""

STAGING = ".download-"
"""Beginning of the names of temporary folders."""

FAILURE = (*DAMAGE, HTTPException, tarfile.TarError)
"""The exceptions of an address that does not answer, breaks off or serves something else."""


def fetch_missing(files: FileSet, folder: Path) -> None:
    """Download the files that `folder` lacks, from the first address that serves them.

    Files are downloaded into a temporary folder inside `folder` and moved out of it once they are verified, so that no
    incomplete file is left, however the download ends.

    Raises:
        DataError: `folder` cannot be written to, or no address served every missing file.
    """
    failures = []
    with _alone_in(folder):
        for address in files.addresses:
            with _staging_in(folder) as staging:
                try:
                    missing = missing_files(files, folder)  # another process may have brought them meanwhile
                    for staged in _fetch(files, address, missing, Path(staging)) if missing else ():
                        os.replace(staged, folder / staged.name)
                    return
                except FAILURE as error:
                    failures.append(f"  {address}: {error}")
    raise DataError(
        "\n".join([f"{files.title} could not be downloaded:", *failures])
        + f"\nTry again later, or fetch the files by hand into {folder} or into a folder "
        f"named with --data-dir or ${ENVIRONMENT_VARIABLE}"
    )


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Keep other processes from downloading into a folder meanwhile, and clear what killed ones have left there.

    Where the file system has no locks, nothing is cleared: another process may be at work.
    """
    filelock = import_extra("filelock", "to download", "train")
    lock = filelock.FileLock(folder / ".downloading", timeout=LONGEST)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except filelock.Timeout:
        raise DataError(
            f"another process has been downloading into {folder} for hours; end it, and try again"
        ) from None
    except (OSError, NotImplementedError) as error:
        if not (isinstance(error, NotImplementedError) or error.errno in (errno.ENOLCK, errno.ENOTSUP)):
            raise DataError(f"cannot download into {folder} ({error}): name another folder with --data-dir") from error
        yield
        return
    try:
        for left in folder.glob(f"{STAGING}*"):
            shutil.rmtree(left, ignore_errors=True)
        yield
    finally:
        with suppress(OSError):
            Path(lock.lock_file).unlink(missing_ok=True)  # while it is held, so that no two processes hold two files
        lock.release()


def _members(stream: "_Limited") -> tarfile.TarFile:
    return tarfile.open(fileobj=cast("IO[bytes]", stream), mode="r|")


class _Limited:
    """The first bytes of a stream; asking for more raises a ValueError, before they are unzipped."""

    def __init__(self, stream: Readable, most: int) -> None:
        self.stream, self.left = stream, most

    def read(self, size: int) -> bytes:
        """Up to ``size`` bytes."""
        contents = at_most(self.stream, self.left) if size < 0 else self.stream.read(min(size, self.left + 1))
        if len(contents) > self.left:
            raise ValueError("the archive holds more than is published")
        self.left -= len(contents)
        return contents


def _staging_in(folder: Path) -> TemporaryDirectory[str]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return TemporaryDirectory(prefix=STAGING, dir=folder)
    except OSError as error:
        raise DataError(f"cannot download into {folder} ({error}): name another folder with --data-dir") from error


def _fetch(files: FileSet, address: str, names: list[str], staging: Path) -> Iterator[Path]:
    """Yield the verified files of these names, one after the other, as they arrive in `staging`."""
    if address.endswith(".tar.gz"):
        return _fetch_archive(files, address, names, staging)
    return _fetch_each(files, address, names, staging)


def _fetch_each(files: FileSet, address: str, names: list[str], staging: Path) -> Iterator[Path]:
    for name in names:
        path = staging / f"{name}.gz"
        length = files.lengths[name]
        transfer(address + path.name, path, length + SLACK)
        verify(uncompressed(path, length), files.checksums[name])
        yield path


def _fetch_archive(files: FileSet, address: str, names: list[str], staging: Path) -> Iterator[Path]:
    """Copy the wanted members out of the archive by name. Paths in the archive are never followed."""
    archive = staging / "archive.tar.gz"
    most = sum(files.lengths.values()) + SLACK
    transfer(address, archive, most)
    wanted = {f"{files.folders[0]}/{name}": name for name in names}
    with gzip.open(archive) as unzipped, _members(_Limited(unzipped, most)) as members:
        for member in filter(tarfile.TarInfo.isfile, members):
            if (name := wanted.get(member.name)) and (content := members.extractfile(member)):
                contents = at_most(content, files.lengths[name])
                verify(contents, files.checksums[name])
                path = staging / name
                path.write_bytes(contents)
                yield path
                del wanted[member.name]
    if wanted:
        raise ValueError(f"the archive lacks {', '.join(wanted)}")
