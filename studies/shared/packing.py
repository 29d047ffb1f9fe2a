"""Which samples a network answers right, kept as text in a row, so that runs are compared on the same samples."""

import numpy as np


def packed(correct: np.ndarray) -> str:
    """Answers, right or wrong, as text: four to a letter, after their number if that is no multiple of eight."""
    number = f"{len(correct)}:" if len(correct) % 8 else ""
    return number + np.packbits(correct.astype(bool)).tobytes().hex()


def unpacked(text: str) -> np.ndarray:
    """The inverse of `packed`."""
    number, _, bits = text.rpartition(":")
    found = np.unpackbits(np.frombuffer(bytes.fromhex(bits), np.uint8)).astype(bool)
    return found[: int(number)] if number else found
