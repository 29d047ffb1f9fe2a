"""How much memory a test may take."""

import tracemalloc
from contextlib import contextmanager

MEBI = 1 << 20


@contextmanager
def at_most(mebibytes):
    """A block whose Python objects, bytes and numpy arrays never take more than this together."""
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < mebibytes * MEBI, f"{peak / MEBI:.0f} MiB"
