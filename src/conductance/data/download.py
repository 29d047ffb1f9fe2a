"""Downloading the files of a data set. Only complete and verified files are kept."""

import os
import tarfile
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.request import urlopen

from conductance.data.files import DAMAGE, ENVIRONMENT_VARIABLE, FileSet, missing_files, uncompressed, verify
from conductance.errors import DataError
from conductance.extras import import_extra

PATIENCE = 30.0
"""Seconds to wait for an answer before the next address is tried."""

CHUNK = 1 << 18
"""Bytes read at a time, for the progress bar."""

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
    for address in files.addresses:
        with _staging_in(folder) as staging:
            try:
                for staged in _fetch(files, address, missing_files(files, folder), Path(staging)):
                    os.replace(staged, folder / staged.name)
                return
            except FAILURE as error:
                failures.append(f"  {address}: {error}")
    raise DataError(
        "\n".join([f"{files.title} could not be downloaded:", *failures])
        + f"\nTry again later, or fetch the files by hand into {folder} or into a folder "
        f"named with --data-dir or ${ENVIRONMENT_VARIABLE}"
    )


def _staging_in(folder: Path) -> TemporaryDirectory[str]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return TemporaryDirectory(prefix=".download-", dir=folder)
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
        _save(address + path.name, path)
        verify(uncompressed(path), files.checksums[name])
        yield path


def _fetch_archive(files: FileSet, address: str, names: list[str], staging: Path) -> Iterator[Path]:
    """Copy the wanted members out of the archive by name. Paths in the archive are never followed."""
    archive = staging / "archive.tar.gz"
    _save(address, archive)
    wanted = {f"{files.folders[0]}/{name}": name for name in names}
    with tarfile.open(archive, "r:gz") as members:
        for member in filter(tarfile.TarInfo.isfile, members):
            if (name := wanted.get(member.name)) and (content := members.extractfile(member)):
                contents = content.read()
                verify(contents, files.checksums[name])
                path = staging / name
                path.write_bytes(contents)
                yield path
                del wanted[member.name]
    if wanted:
        raise ValueError(f"the archive lacks {', '.join(wanted)}")


def _save(address: str, path: Path) -> None:
    progress = import_extra("rich.progress", "to show a download's progress", "train")
    console = import_extra("rich.console", "to show a download's progress", "train").Console(stderr=True)
    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.DownloadColumn(),
        progress.TimeRemainingColumn(),
    )
    with urlopen(address, timeout=PATIENCE) as response, path.open("wb") as file:
        length = response.headers.get("Content-Length")
        with progress.Progress(*columns, console=console) as bar:
            task = bar.add_task(address, total=int(length) if length else None)
            while chunk := response.read(CHUNK):
                file.write(chunk)
                bar.advance(task, len(chunk))
