"""A study in a file, which several machines may share, and which outlasts full disks and killed processes."""

from pathlib import Path
from typing import Any

from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock

from conductance.errors import ConductanceError


class _Journal(JournalFileBackend):
    """Optuna's file of lines, with a disk that is full as one line."""

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Write lines at the end."""
        try:
            super().append_logs(logs)
        except OSError as error:
            raise ConductanceError(
                f"cannot write {self._file_path} ({error.strerror or error}); make room, and give the command again"
            ) from error


def journal_storage(place: str) -> JournalStorage:
    """The storage in a file, made where there is none yet."""
    journal = Path(place).absolute()  # a lock is a link to it, which a relative one would not reach
    journal.parent.mkdir(parents=True, exist_ok=True)
    lock = JournalFileSymlinkLock(str(journal))
    backend = _Journal(str(journal), lock)
    lock.acquire()
    try:
        _cut_torn_line(journal)
    finally:
        lock.release()
    return JournalStorage(backend)


def _cut_torn_line(journal: Path) -> None:
    """Drop a last line that a full disk or a power cut tore; what came after it would be unreadable to Optuna."""
    with journal.open("rb+") as file:
        contents = file.read()
        whole = contents.rfind(b"\n") + 1
        if whole < len(contents):
            file.truncate(whole)
