"""Which images a network answers right, kept as text, so that runs of a study are compared on the same images."""

from collections.abc import Mapping, Sequence

import numpy as np

from studies.shared.short import HELD_OUT


def packed(correct: np.ndarray) -> str:
    """Answers, right or wrong, as text: a bit each."""
    return np.packbits(correct.astype(bool)).tobytes().hex()


def unpacked(text: str, images: int = HELD_OUT) -> np.ndarray:
    """The inverse of `packed`."""
    return np.unpackbits(np.frombuffer(bytes.fromhex(text), np.uint8)).astype(bool)[:images]


def by_change(rows: Sequence[Mapping[str, str]]) -> dict[str, list[np.ndarray]]:
    """The answers of each change, seed by seed; rows have the columns ``change`` and ``correct``."""
    found: dict[str, list[np.ndarray]] = {}
    for row in rows:
        found.setdefault(row["change"], []).append(unpacked(row["correct"]))
    return found
