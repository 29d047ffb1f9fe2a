"""Arrays of numbers as text, for a page that asks no server for anything."""

from base64 import b64encode
from typing import Any

import numpy as np
from torch import Tensor


def packed(values: Tensor) -> dict[str, Any]:
    """An array as base64: of float16 where that holds every number exactly, else of float32.

    So a page computes with the very numbers of the network, and one that was stored in half precision is half as large.
    """
    exact = values.detach().cpu().float().contiguous().numpy()
    with np.errstate(over="ignore"):
        half = exact.astype("<f2")
    fits = bool((half.astype("<f4") == exact).all())
    return {"type": "float16" if fits else "float32", "base64": _base64(half if fits else exact.astype("<f4"))}


def packed_bytes(values: Tensor) -> dict[str, Any]:
    """An array of bytes (uint8) as base64."""
    return {"type": "uint8", "base64": _base64(values.detach().cpu().contiguous().numpy())}


def _base64(values: np.ndarray) -> str:
    return b64encode(values.tobytes()).decode()
