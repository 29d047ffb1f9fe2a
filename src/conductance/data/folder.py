"""Reads a folder of images with one subfolder for each class, the layout of torchvision's ImageFolder."""

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import torch

from conductance.checked import checked
from conductance.data.images import Dataset, Images
from conductance.data.picture import import_pillow, read_picture
from conductance.errors import DataError, InputError
from conductance.printable import is_printable, printable

FOLDER = "folder"
"""The name of this kind of data set."""

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
"""Suffixes of image files. Other files are ignored."""

VALIDATION_NAMES = ("val", "valid", "validation")

TEST_SHARE = 0.2
"""Share of each class that becomes test images if the folder has no part for them."""

Labeled = list[tuple[Path, int]]
"""Files and their labels."""


@checked
def load_image_folder(folder: Path | str, size: int = 32) -> Dataset:
    """Read the images in a folder that has one subfolder for each class, with the name of the class.

    ``folder`` holds these subfolders itself, or the parts ``train/``, ``test/`` and ``val/`` with such subfolders in
    each. Without ``test/``, the images in ``val/`` are the test images; without both, a fifth of each class, always the
    same ones. Every image is cropped to its central square and resized. If all files are gray the images have one
    channel, otherwise three (RGB).

    Args:
        folder: the folder.
        size: height and width of the images after resizing, in pixels.

    Raises:
        InputError: ``size`` is less than 1.
        DataError: the folder does not have this layout, or a file cannot be read; the message names it.
        ConductanceError: Pillow is not installed.
    """
    if size < 1:
        raise InputError(f"image_size={size}: must be at least 1 pixel")
    import_pillow()  # so that a missing package is the first thing to be reported
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder; name one that holds a subfolder of images for each class")
    parts = _parts(folder)
    classes = _classes(parts["train"])
    files = {name: _labeled(part, classes) for name, part in parts.items()}
    if "test" not in files:
        files["train"], files["test"] = _held_out(files["train"], len(classes))
    return _read(folder, files, classes, size)


def _parts(folder: Path) -> dict[str, Path]:
    """The folder of each part; one part, ``train``, if ``folder`` holds the classes itself."""
    if not _subfolders(folder / "train"):
        return {"train": folder}
    parts = {"train": folder / "train"}
    validation = next((folder / name for name in VALIDATION_NAMES if (folder / name).is_dir()), None)
    if (folder / "test").is_dir():
        parts["test"] = folder / "test"
        return parts | ({"validation": validation} if validation else {})
    return parts | ({"test": validation} if validation else {})


def _subfolders(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    return sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _classes(folder: Path) -> list[str]:
    classes = _subfolders(folder)
    for name in classes:
        if not is_printable(name):
            raise DataError(f"{folder / printable(name)}: the name of this folder cannot be shown; rename it")
    if len(classes) < 2:
        held = f"the one subfolder {classes[0]}" if classes else "no subfolders"
        raise DataError(f"{folder} holds {held}; it needs a subfolder of images for each class, at least two")
    return classes


def _labeled(part: Path, classes: Sequence[str]) -> Labeled:
    unknown = set(_subfolders(part)) - set(classes)
    if unknown:
        raise DataError(f"{part / min(unknown)}: the training images have no class of this name; rename the folder")
    found: Labeled = []
    for label, name in enumerate(classes):
        files = _image_files(part / name)
        if not files and (part / name).is_dir():
            raise DataError(f"{part / name} holds no images ({', '.join(sorted(SUFFIXES))}); add some, or remove it")
        found += [(file, label) for file in files]
    if not found:
        raise DataError(f"{part} holds no folder of a class; it needs the same subfolders as the training images")
    return found


def _image_files(folder: Path) -> list[Path]:
    files = (Path(place) / name for place, _, names in os.walk(folder) for name in names)
    return sorted(file for file in files if file.suffix.lower() in SUFFIXES and not file.name.startswith("."))


def _held_out(files: Labeled, num_classes: int) -> tuple[Labeled, Labeled]:
    """Training images, and a fifth of each class as test images."""
    # numpy never changes the numbers of RandomState, so the split is part of the data set.
    random = np.random.RandomState(0)
    test: set[Path] = set()
    for label in range(num_classes):
        of_class = [file for file, its_label in files if its_label == label]
        test.update(of_class[place] for place in random.permutation(len(of_class))[: int(TEST_SHARE * len(of_class))])
    if not test:
        raise DataError("no class has 5 images, so none can be held out to test on; add images, or a folder test/")
    return [pair for pair in files if pair[0] not in test], [pair for pair in files if pair[0] in test]


def _read(folder: Path, files: dict[str, Labeled], classes: Sequence[str], size: int) -> Dataset:
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:  # Pillow releases Python's lock while it decodes
        try:
            pixels = {
                name: list(pool.map(partial(read_picture, size=size), (file for file, _ in labeled)))
                for name, labeled in files.items()
            }
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    channels = max(len(image) for images in pixels.values() for image in images)
    parts = {
        name: Images(_stacked(images, channels), torch.tensor([label for _, label in files[name]]))
        for name, images in pixels.items()
    }
    return Dataset(folder.resolve().name, parts["train"], parts["test"], tuple(classes), parts.get("validation"))


def _stacked(images: Iterable[np.ndarray], channels: int) -> torch.Tensor:
    return torch.from_numpy(np.stack([np.broadcast_to(image, (channels, *image.shape[1:])) for image in images]))
