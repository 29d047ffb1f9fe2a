"""Memory that a process keeps instead of giving it back and asking for it anew at every step.

glibc takes each allocation above 32 MB straight from the kernel and returns it when it is freed, so each step of
training pays a page fault, and a page of zeros, for every 4 KB of its large tensors. Left to itself glibc learns a
better threshold, but never one above 32 MB.
"""

import ctypes
import os
import platform

LARGEST = 2**31 - 1  # of the int that mallopt takes
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # as malloc.h numbers them
_USERS_OWN = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_MMAP_MAX_", "MALLOC_TOP_PAD_")


def keep_freed_memory() -> bool:
    """Have glibc reuse freed memory, allocations of up to 2 GiB included; elsewhere do nothing.

    The process then stays as large as it has been at its largest. What the user has set by glibc's own environment
    variables (``MALLOC_MMAP_THRESHOLD_`` and its like, ``GLIBC_TUNABLES``) stays as it is.

    Returns:
        Whether anything was changed.
    """
    if platform.libc_ver()[0] != "glibc" or _the_user_has_chosen():
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # a libc that only calls itself one
        return False
    # both, for setting one ends glibc's own learning of the other
    return all([mallopt(_MMAP_THRESHOLD, LARGEST) == 1, mallopt(_TRIM_THRESHOLD, LARGEST) == 1])


def _the_user_has_chosen() -> bool:
    return any(name in os.environ for name in _USERS_OWN) or "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", "")
