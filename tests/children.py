"""Commands in processes of their own, quickly begun, that may be killed or have writes that fail."""

import contextlib
import errno
import io
import multiprocessing
import os
import resource
import signal
import sys
from pathlib import Path

CONTEXT = multiprocessing.get_context("forkserver" if sys.platform != "win32" else "spawn")
CONTEXT.set_forkserver_preload(["children", "conductance.cli.train", "conductance.training", "conductance.share"])
LONGEST = 600  # seconds that a child may take


class Child:
    """The command line in a process of its own.

    Args:
        words: of the command.
        folder: where it runs.
        setting: called in the child before the command.
    """

    def __init__(self, words, folder, setting=None):
        self.complaint = Path(folder) / f"complaint-{os.urandom(4).hex()}"
        self.process = CONTEXT.Process(target=_run, args=(list(map(str, words)), str(folder), self.complaint, setting))
        self.process.start()

    def killed_after(self, seconds):
        """Kill it, unless it has ended by then; whether it was killed."""
        self.process.join(seconds)
        if self.process.exitcode is not None:
            return False
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.join(LONGEST)
        return True

    def answer(self):
        """Exit status and complaint."""
        self.process.join(LONGEST)
        assert self.process.exitcode is not None, "the command does not end"
        return self.process.exitcode, self.complaint.read_text() if self.complaint.exists() else ""


def leftovers(folder):
    """Files that are not whole."""
    return [path for path in Path(folder).rglob(".*.*") if path.is_file()]


def _run(words, folder, complaint, setting):
    os.chdir(folder)
    from conductance import cli

    with complaint.open("w") as file, contextlib.redirect_stderr(file), contextlib.redirect_stdout(io.StringIO()):
        if setting is not None:
            setting()
        try:
            cli.main(words)
        except SystemExit as end:
            file.flush()
            os._exit(end.code or 0)


class SmallFiles:
    """No file may grow beyond so many bytes, as on a disk that is nearly full."""

    def __init__(self, most):
        self.most = most

    def __call__(self):
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.most, self.most))


class FailingCall:
    """The nth call of the system that would change something below a folder fails; the later ones too.

    Args:
        folder: below which calls are counted.
        number: which fails, from 0.
        reason: errno.
    """

    def __init__(self, folder, number, reason=errno.ENOSPC):
        self.folder, self.number, self.reason = str(folder), number, reason

    def __call__(self):
        left = self.number

        def failing(function, changes):
            def call(path, *args, **kwargs):
                nonlocal left
                if str(path).startswith(self.folder) and changes(*args, **kwargs):
                    left -= 1
                    if left < 0:
                        raise OSError(self.reason, os.strerror(self.reason), str(path))
                return function(path, *args, **kwargs)

            return call

        def always(*_, **__):
            return True

        def writes(mode="r", *_, **__):
            return any(letter in mode for letter in "wax+")

        io.open = failing(io.open, writes)
        for name in ("replace", "mkdir"):
            setattr(os, name, failing(getattr(os, name), always))
