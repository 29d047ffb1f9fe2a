"""Reads one image file with Pillow, as a square of pixels."""

import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from conductance.errors import DataError
from conductance.extras import import_extra

GRAY_MODES = frozenset({"1", "L", "LA", "La"})
"""Pillow's names for images of 8 bits without color."""

TRANSPARENT = frozenset({"LA", "La", "PA", "RGBA", "RGBa"})
"""Pillow's names for images with an alpha channel."""

SIXTEEN_BITS = frozenset({"I", "I;16", "I;16B", "I;16L"})
"""Pillow's names for gray images of 16 bits a pixel."""


MOST_PIXELS = 1 << 26
"""Of an image file: 67 million, which take a quarter of a gigabyte. A few kilobytes may stand for more."""


def import_pillow() -> ModuleType:
    """Pillow's module ``PIL.Image``.

    Raises:
        ConductanceError: Pillow is not installed.
    """
    return import_extra("PIL.Image", "to read image files", "images")


def read_picture(path: Path, size: int) -> np.ndarray:
    """Read an image file, crop it to its central square and resize it.

    The orientation in its EXIF data is applied. Transparent parts become black. Only the first image of an animation is
    read. 16-bit gray becomes 8-bit gray.

    Args:
        path: the file.
        size: height and width of the result, in pixels.

    Returns:
        uint8 of shape (1, size, size) for a gray image, (3, size, size) for a color image.

    Raises:
        DataError: the file cannot be read, or is not an image.
        ConductanceError: Pillow is not installed.
    """
    pillow = import_pillow()
    operations = import_extra("PIL.ImageOps", "to read image files", "images")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pillow.DecompressionBombWarning)
            file = pillow.open(path)
        with file:
            _require_size(*file.size)
            image = _opaque(pillow, operations.exif_transpose(file))
            return _as_channels(operations.fit(image, (size, size), pillow.Resampling.BICUBIC))
    except (pillow.DecompressionBombWarning, pillow.DecompressionBombError):
        raise DataError(f"{path} has more than {MOST_PIXELS:,} pixels; resize it, or remove it") from None
    except Exception as error:  # Pillow's readers raise many kinds for damaged files
        reason = str(error).replace(str(path), "file").strip() or type(error).__name__
        raise DataError(
            f"{path} cannot be read as an image ({reason}); replace it, or remove it from the folder"
        ) from error


def _require_size(width: int, height: int) -> None:
    """Before any pixel is unpacked."""
    if width * height > MOST_PIXELS:
        raise ValueError(f"it has {width * height:,} pixels, more than {MOST_PIXELS:,}; resize it")


def _opaque(pillow: ModuleType, image: Any) -> Any:
    """The image in mode L or RGB."""
    if image.mode == "F":
        raise ValueError("its pixels are floating-point numbers; convert it to 8 bits")
    if image.mode in SIXTEEN_BITS:
        values = np.asarray(image).astype(np.int64) >> 8
        return pillow.fromarray(values.clip(0, np.iinfo(np.uint8).max).astype(np.uint8))
    gray = image.mode in GRAY_MODES or (image.mode == "P" and _is_gray(image))
    if image.mode == "P" or image.mode in TRANSPARENT or "transparency" in image.info:
        image = image.convert("RGBA")
        image = pillow.alpha_composite(pillow.new("RGBA", image.size, "black"), image)
    return image.convert("L" if gray else "RGB")


def _is_gray(image: Any) -> bool:
    colors = np.asarray(image.convert("RGB"))
    return bool((colors == colors[..., :1]).all())


def _as_channels(image: Any) -> np.ndarray:
    pixels = np.asarray(image)
    return pixels[None] if pixels.ndim == 2 else np.ascontiguousarray(pixels.transpose(2, 0, 1))
