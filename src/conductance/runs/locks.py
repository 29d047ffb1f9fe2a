"""Whether a process holds the lock of a file."""

import os
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


def is_locked(file: Path) -> bool:
    """Whether a process, of this machine or another, holds the lock of this file as `filelock` takes it.

    The file is only read, so that the runs of others can be looked at. Where the system or the file system has no such
    locks, nobody can tell, and the answer is no.
    """
    try:
        descriptor = os.open(file, os.O_RDONLY)
    except OSError:
        return False
    try:
        if fcntl is None:
            return False
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # some file systems say it the second way
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False
