"""Loads a data set by its name."""

from pathlib import Path

from conductance.checked import checked
from conductance.data.catalog import DATASETS
from conductance.data.download import fetch_missing
from conductance.data.files import (
    ENVIRONMENT_VARIABLE,
    FileSet,
    data_folders,
    find_copy,
    missing_files,
    read_verified,
    user_cache,
)
from conductance.data.folder import FOLDER, load_image_folder
from conductance.data.images import Dataset
from conductance.errors import DataError, InputError, UnknownNameError


@checked
def load_dataset(
    name: str, data_dir: Path | str | None = None, download: bool = True, *, image_size: int = 32
) -> Dataset:
    """Load the data set of this name: one of `DATASETS`, or "folder".

    The files are searched for in `data_dir`, in the folder that $CONDUCTANCE_DATA names, in the user's cache folder and
    in /usr/share/datasets, in torchvision's layout, gzipped or not. The first complete copy is used; it is an error if
    one of its files is not the published one. `digits` is part of scikit-learn and needs no files. `folder` stands for
    your own images in `data_dir`, in one subfolder for each class (`load_image_folder`).

    Args:
        name: a key of `DATASETS`, or "folder".
        data_dir: the folder to search first.
        download: whether to download missing files, into `data_dir` if it is given, otherwise into the user's cache
            folder.
        image_size: height and width of the images of "folder" after resizing, in pixels. Other data sets have their own
            size.

    Raises:
        UnknownNameError: there is no data set of this name.
        InputError: the data set is "folder" and `data_dir` is missing.
        DataError: the data set was not found, one of its files is damaged, or the download failed.
    """
    if name == FOLDER:
        if data_dir is None:
            raise InputError(
                "data set 'folder' needs --data-dir DIR: a folder that holds a subfolder of images for each class"
            )
        return load_image_folder(data_dir, image_size)
    if name not in DATASETS:
        raise UnknownNameError("data set", name, (*DATASETS, FOLDER))
    specification = DATASETS[name]
    contents = {}
    if specification.files is not None:
        folder = _find_or_fetch(
            specification.files, None if data_dir is None else Path(data_dir).expanduser(), download
        )
        contents = read_verified(specification.files, folder)
    train, test = specification.read(contents)
    return Dataset(name, train, test, specification.classes)


def _find_or_fetch(files: FileSet, data_dir: Path | None, download: bool) -> Path:
    """The folder that holds every one of the files."""
    searched = []
    for data_folder in data_folders(data_dir):
        if found := find_copy(files, data_folder):
            return found
        searched.append(data_folder)
    if not download:
        raise DataError(
            "\n".join([f"{files.title} was not found:", *(_shortfall(files, folder) for folder in searched)])
            + f"\nAllow the download, or name a folder that holds {files.folders[0]} "
            f"with --data-dir or ${ENVIRONMENT_VARIABLE}"
        )
    target = (data_dir or user_cache()) / files.folders[0]
    fetch_missing(files, target)
    return target


def _shortfall(files: FileSet, data_folder: Path) -> str:
    lacking = min((missing_files(files, data_folder / folder) for folder in files.folders), key=len)
    if len(lacking) == len(files.checksums):
        return f"  {data_folder} holds none of its files"
    return f"  {data_folder} holds an incomplete copy, without {', '.join(lacking)}"
