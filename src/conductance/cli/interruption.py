"""Ctrl-C: one line and exit status 130, at any time; commands that keep what they have done say how to go on."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import contextmanager

TYPE_CHECKING = False  # this module is imported first and must be quick: the module typing is slow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from types import FrameType

    from rich.console import Console

STOPPED = "stopped"
SHOW_CURSOR = "\x1b[?25h"


@contextmanager
def interruptible() -> Iterator[None]:
    """End the block with one line and exit status 130 on Ctrl-C.

    While a module is being imported, the process ends at once: some libraries turn an interrupted import into another
    error, or hide it. No file is half written by then, because files are written under another name first.
    """
    with _handling(signal.SIGINT, _stop):
        try:
            yield
        except KeyboardInterrupt:
            print(STOPPED, file=sys.stderr)
            sys.exit(128 + signal.SIGINT)


@contextmanager
def resumable(console: Console, again: Sequence[str], out: Path) -> Iterator[None]:
    """Let Ctrl-C or SIGTERM end a block that keeps what it has done, and exit with 128 plus the signal's number.

    Args:
        console: where to print how to go on.
        again: the words of the command that goes on.
        out: the folder that keeps the finished epochs.
    """
    received: list[int] = []

    def stop(number: int, _: FrameType | None) -> None:
        received.append(number)
        raise KeyboardInterrupt

    with _handling(signal.SIGINT, stop), _handling(signal.SIGTERM, stop):
        try:
            yield
        except BaseException as error:  # some libraries turn an interruption into another error
            if not received and not isinstance(error, KeyboardInterrupt):
                raise
            import shlex

            message = f"\nstopped; every finished epoch is kept in {out}. To go on:\n  {shlex.join(again)}"
            console.print(message, markup=False, highlight=False, soft_wrap=True)
            sys.exit(128 + (received or [signal.SIGINT])[0])


def _stop(number: int, frame: FrameType | None) -> None:
    if not _importing(frame):
        raise KeyboardInterrupt
    if sys.stdout.isatty():  # a progress bar hides it
        os.write(sys.stdout.fileno(), SHOW_CURSOR.encode())
    os.write(2, f"{STOPPED}\n".encode())
    os._exit(128 + number)


def _importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False


@contextmanager
def _handling(number: int, handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Handle a signal in the block, unless it is ignored, as Ctrl-C is in a background job."""
    before = signal.getsignal(number)
    try:
        if before is not signal.SIG_IGN:
            signal.signal(number, handler)
    except ValueError:  # only the main thread may
        before = signal.SIG_IGN
    try:
        yield
    finally:
        if before is not signal.SIG_IGN:
            signal.signal(number, before)
