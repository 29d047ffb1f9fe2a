"""What a trained network answered for each test image: so that two networks can be compared image by image."""

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from conductance.errors import RunError, one_line
from conductance.files import write_atomically


@dataclass(frozen=True, eq=False)
class Predictions:
    """The class that was predicted for each image, and its label, both of shape (images,), in the data set's order."""

    predicted: np.ndarray
    labels: np.ndarray

    @property
    def correct(self) -> np.ndarray:
        """Whether each answer is right, (images,), bool."""
        return self.predicted == self.labels

    def write(self, path: Path) -> None:
        """Save them, compressed: about a byte for each image."""
        small = np.min_scalar_type(max(self.predicted.max(initial=0), self.labels.max(initial=0)))
        contents = io.BytesIO()
        np.savez_compressed(contents, predicted=self.predicted.astype(small), labels=self.labels.astype(small))
        write_atomically(path, lambda file: file.write(contents.getbuffer()))

    @staticmethod
    def read(path: Path) -> "Predictions":
        """The inverse of `write`. No code in the file is ever executed.

        Raises:
            RunError: the file is damaged.
        """
        try:
            with zipfile.ZipFile(path) as archive:
                predicted, labels = (_read_array(archive, f"{name}.npy") for name in ("predicted", "labels"))
        except Exception as error:  # zip, zlib and numpy each raise their own kinds
            raise RunError(
                f"{path} is damaged ({type(error).__name__}: {one_line(error):.200}); delete it, and the run is "
                "compared by its accuracy alone"
            ) from None
        if predicted.shape != labels.shape:
            raise RunError(f"{path} holds {len(predicted)} predictions for {len(labels)} labels; delete it")
        return Predictions(predicted, labels)


MOST_BYTES = 1 << 28
"""Of the answers for as many images as no data set has; what claims to be longer is not read."""


def _read_array(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    """An array of whole numbers; memory is taken for what is there, not for what the header says.

    Raises:
        Exception: the member is missing, or holds something else.
    """
    with archive.open(name) as member:
        contents = member.read(MOST_BYTES + 1)
    if len(contents) > MOST_BYTES:
        raise ValueError(f"{name} is larger than {MOST_BYTES:,} bytes")
    file = io.BytesIO(contents)
    np.lib.format.read_magic(file)
    shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    if len(shape) != 1 or dtype.kind not in "iu":
        raise ValueError(f"{name} holds no list of whole numbers")
    values = np.frombuffer(contents, dtype, offset=file.tell())
    if values.shape != shape:
        raise ValueError(f"{name} holds {len(values)} numbers instead of {shape[0]}")
    return values.astype(dtype.newbyteorder("="))
