"""A folder of images: one subfolder for each class, as torchvision's ImageFolder has them."""

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import torch

from conductance.data.images import Dataset, Images
from conductance.data.picture import import_pillow, read_picture
from conductance.errors import DataError, InputError

FOLDER = "folder"
"""The name of this kind of data set, beside those of the published ones."""

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
"""How names of image files end; other files in the folders are left alone."""

VALIDATION_NAMES = ("val", "valid", "validation")

TEST_SHARE = 0.2
"""Share of each class that is held out for testing where the folder has no part for that."""

Labeled = list[tuple[Path, int]]
"""Files and their labels."""


def load_image_folder(folder: Path | str, size: int = 32) -> Dataset:
    """Read the images in a folder: one subfolder for each class, named after it.

    ``folder`` holds the class folders themselves, or the parts ``train/``, ``test/`` and ``val/`` with class folders
    in each. Where there is no ``test/``, ``val/`` is what is tested on; where there is neither, a fifth of each class,
    always the same images. Every image is cropped to its middle square and resized. The images are gray (one channel)
    if all files are, otherwise RGB.

    Args:
        folder: see above.
        size: height and width of the images, in pixels.

    Raises:
        InputError: ``size`` is less than 1.
        DataError: the folder does not have this layout, or a file in it cannot be read; names the file.
        ConductanceError: Pillow is not installed.
    """
    if size < 1:
        raise InputError(f"image_size={size}: must be at least 1 pixel")
    import_pillow()  # before anything is looked for
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
    """The folders of the parts; of one part alone where the class folders lie in ``folder`` itself."""
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
    """What is left to train on, and a fifth of each class to test on."""
    # RandomState's stream is frozen for good: the split is part of the data set.
    random = np.random.RandomState(0)
    test: set[Path] = set()
    for label in range(num_classes):
        of_class = [file for file, its_label in files if its_label == label]
        test.update(of_class[place] for place in random.permutation(len(of_class))[: int(TEST_SHARE * len(of_class))])
    if not test:
        raise DataError("no class has 5 images, so none can be held out to test on; add images, or a folder test/")
    return [pair for pair in files if pair[0] not in test], [pair for pair in files if pair[0] in test]


def _read(folder: Path, files: dict[str, Labeled], classes: Sequence[str], size: int) -> Dataset:
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:  # Pillow decodes outside Python's lock
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
