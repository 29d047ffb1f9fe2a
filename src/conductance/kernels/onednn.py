"""Matrix products in float32 by oneDNN, where that is the faster of the two libraries that torch has for them.

torch multiplies float32 matrices on a CPU by MKL, which reaches half of what an AMD processor can do, where oneDNN
reaches nearly all. torch hands a product to oneDNN where that may round factors to bfloat16. oneDNN does so on
processors with units for it (AMX) and nowhere else. So products take this way on AMD processors alone, and after one
product has shown that nothing is rounded.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

import torch

from conductance.eager import eager

# Products of fewer multiplications are done sooner than oneDNN has been called.
LEAST = 2**23

_MATMUL: Any = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]


@contextmanager
def faster_products(multiplications: int = LEAST) -> Iterator[None]:
    """Within the context float32 matrices on a CPU are multiplied by the faster library; sums stay float32 sums.

    Args:
        multiplications: how many a product has.
    """
    if multiplications < LEAST or not eager() or not serves():
        yield
        return
    with float32_precision(_MATMUL, "bf16"):
        yield


_LOCK = Lock()
_BEFORE: dict[Any, list[str]] = {}


@contextmanager
def float32_precision(products: Any, precision: str) -> Iterator[None]:
    """Within the context torch's products have this precision, which is one for all threads of a process.

    Each exit restores what the latest entry found. When all threads have left, in any order, the precision is what it
    was before the first entered.

    Args:
        products: of a library, such as ``torch.backends.cuda.matmul``.
        precision: as torch names it.
    """
    with _LOCK:
        before, products.fp32_precision = products.fp32_precision, precision
        _BEFORE.setdefault(products, []).append(before)
    try:
        yield
    finally:
        with _LOCK:
            products.fp32_precision = _BEFORE[products].pop()


@cache
def serves() -> bool:
    """Whether MKL is slow on this processor, and oneDNN there and exact."""
    backends = torch.backends
    return backends.mkl.is_available() and backends.mkldnn.is_available() and _is_amd() and not _rounds()


def _is_amd() -> bool:
    return "AuthenticAMD" in cpu_info()


@cache
def cpu_info() -> str:
    """What Linux says of the first processor, its name and instructions; nothing elsewhere."""
    try:
        return Path("/proc/cpuinfo").read_text()[:4096]
    except OSError:  # not Linux
        return ""


def _rounds() -> bool:
    """Whether factors lose the bits that bfloat16 does not have."""
    factor = torch.full((64, 64), 1 + 2.0**-12, device="cpu", dtype=torch.float32)
    with float32_precision(_MATMUL, "bf16"):
        return bool((torch.mm(factor, torch.ones_like(factor)) == 64).any())
