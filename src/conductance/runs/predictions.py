"""What a trained network answered for each test image: so that two networks can be compared image by image."""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from conductance.errors import RunError
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
            with np.load(path, allow_pickle=False) as saved:
                predicted, labels = saved["predicted"], saved["labels"]
        except Exception as error:  # zip, zlib and numpy each raise their own kinds
            raise RunError(
                f"{path} is damaged ({type(error).__name__}: {error}); delete it, and the run is compared by its "
                "accuracy alone"
            ) from None
        if predicted.ndim != 1 or predicted.shape != labels.shape:
            raise RunError(f"{path} holds predictions {predicted.shape} for labels {labels.shape}; delete it")
        return Predictions(predicted, labels)
