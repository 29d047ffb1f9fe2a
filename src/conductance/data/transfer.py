"""One file from a web address into a file: no longer than it may be, no slower than is of use, with a progress bar."""

import time
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import urlopen

from conductance.extras import import_extra

PATIENCE = 30.0
"""Seconds to wait for an answer, or for more of it, before the next address is tried."""

CHUNK = 1 << 18
"""Most bytes read at a time, for the progress bar."""

LEAST_SPEED = 2000.0
"""Bytes a second, averaged over `WINDOW`, below which an address counts as one that does not answer."""

WINDOW = 60.0
"""Seconds over which the speed is averaged."""

LONGEST = 6 * 3600.0
"""Seconds that one file may take."""


def transfer(address: str, path: Path, most: int) -> None:
    """Write what an address serves to ``path``.

    Args:
        address: http or https.
        path: the file; what it held is lost.
        most: bytes that the file may have. Nothing beyond is written.

    Raises:
        OSError, HTTPException: the address does not answer, breaks off, is too slow or takes too long.
        ValueError: it serves more than ``most`` bytes, or is no web address.
    """
    if urlsplit(address).scheme not in ("http", "https"):
        raise ValueError("it is no web address (http or https)")
    progress = import_extra("rich.progress", "to show a download's progress", "train")
    console = import_extra("rich.console", "to show a download's progress", "train").Console(stderr=True)
    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.DownloadColumn(),
        progress.TimeRemainingColumn(),
    )
    with urlopen(address, timeout=PATIENCE) as response, path.open("wb") as file:  # noqa: S310 (checked above)
        length = response.headers.get("Content-Length")
        _require_room(int(length) if length else 0, most)
        pace, received = _Pace(), 0
        with progress.Progress(*columns, console=console) as bar:
            task = bar.add_task(address, total=int(length) if length else None)
            while chunk := response.read1(CHUNK):  # what has come; read() would wait until a whole chunk has
                received += len(chunk)
                _require_room(received, most)
                pace.check(received)
                file.write(chunk)
                bar.advance(task, len(chunk))
    if length and received != int(length):
        raise OSError(f"it broke off after {received:,} of {int(length):,} bytes")


def _require_room(length: int, most: int) -> None:
    if length > most:
        raise ValueError(f"it serves more than the {most:,} bytes that are published")


class _Pace:
    """How fast a file arrives."""

    def __init__(self) -> None:
        self.started = self.since = time.monotonic()
        self.before = 0

    def check(self, received: int) -> None:
        """Raise a `TimeoutError` if the last `WINDOW` was too slow, or the whole takes too long."""
        now = time.monotonic()
        if now - self.started > LONGEST:
            raise TimeoutError(f"it took more than {LONGEST / 3600:g} hours")
        if now - self.since < WINDOW:
            return
        if (received - self.before) / (now - self.since) < LEAST_SPEED:
            raise TimeoutError(f"it sent less than {LEAST_SPEED:g} bytes a second")
        self.since, self.before = now, received
