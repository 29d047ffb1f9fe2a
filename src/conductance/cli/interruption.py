"""Commands that may be stopped at any time, and say how to go on."""

import shlex
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console


@contextmanager
def resumable(console: Console, again: Sequence[str], out: Path) -> Iterator[None]:
    """Let Ctrl-C or SIGTERM end a block that keeps what it has done, and exit with 128 plus the signal's number.

    Args:
        console: where it says how to go on.
        again: the words of the command that does.
        out: what is kept there.
    """

    def stop(number: int, _: object) -> None:
        raise KeyboardInterrupt(number)

    here = threading.current_thread() is threading.main_thread()  # no other may handle signals
    before = signal.signal(signal.SIGTERM, stop) if here else None
    try:
        yield
    except KeyboardInterrupt as stopped:
        message = f"\nstopped; every finished epoch is kept in {out}. To go on:\n  {shlex.join(again)}"
        console.print(message, markup=False, highlight=False, soft_wrap=True)
        sys.exit(128 + (stopped.args[0] if stopped.args else signal.SIGINT))
    finally:
        if here:
            signal.signal(signal.SIGTERM, before)
