"""A run's folder: the names of its files, its lock, and writing that never leaves half a file."""

import errno
import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from torch import Tensor

from conductance.errors import RunError, one_line
from conductance.files import is_temporary, write_json, write_text
from conductance.runs import checkpoint
from conductance.runs.config import RunConfig
from conductance.runs.differences import differing_fields
from conductance.runs.locks import is_locked
from conductance.runs.schema import config_of, read_settings
from conductance.tensor_files import read_tensors, write_tensors

CONFIG = "config.json"

PATIENCE = 0.25
"""Seconds that a lock is tried for: whoever only looks whether a run is worked on holds it for an instant."""


class BusyRunError(RunError):
    """Another process is working on the run."""


class RunFolder:
    """A place on disk for one run.

    ``config.json`` holds what was asked; ``metrics.jsonl`` one line for each epoch; ``checkpoint.pt`` the state to
    resume from, until the run has finished; ``summary.json``, ``model.safetensors``, the answers for each test image
    (``predictions.npz``) and, for networks of conductances, ``internals.json`` what came of it. The process that trains
    holds ``.lock``; ``failure.json`` says what ended it before its time, until the run goes on; ``tensorboard`` holds
    events.

    `Run` reads a run back.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config_file = path / CONFIG
        self.metrics_file = path / "metrics.jsonl"
        self.checkpoint_file = path / "checkpoint.pt"
        self.summary_file = path / "summary.json"
        self.weights_file = path / "model.safetensors"
        self.internals_file = path / "internals.json"
        self.predictions_file = path / "predictions.npz"
        self.failure_file = path / "failure.json"
        self.lock_file = path / ".lock"
        self.events_folder = path / "tensorboard"

    @property
    def started(self) -> bool:
        """Whether a run has begun here."""
        try:
            return self.config_file.exists()
        except OSError as error:
            raise RunError(f"{self.path} cannot be looked into ({error.strerror}); make it readable") from error

    @property
    def finished(self) -> bool:
        """Whether the run has reached its end."""
        return self.summary_file.exists()

    @property
    def busy(self) -> bool:
        """Whether a process is working on the run. Where the file system has no locks, nobody can tell: False."""
        return is_locked(self.lock_file)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes out of the run for the length of a ``with`` block. Blocks may be nested.

        The operating system releases the lock when the process exits. Where the file system has no locks, a warning
        says so.

        Raises:
            BusyRunError: another process is working on this run.
            RunError: the folder cannot be written to.
        """
        lock = FileLock(self.path.resolve() / self.lock_file.name, timeout=PATIENCE, is_singleton=True)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except Timeout:
            raise BusyRunError(
                f"another process is working on {self.path}; wait until it ends, or choose another --out"
            ) from None
        except (OSError, NotImplementedError) as error:
            if not (isinstance(error, NotImplementedError) or error.errno in (errno.ENOLCK, errno.ENOTSUP)):
                raise RunError(
                    f"cannot lock {self.path} ({error.strerror or error}); choose an --out that you may write to"
                ) from error
            warnings.warn(
                f"{self.path}: this file system has no locks ({error}); do not let two processes share a run",
                stacklevel=3,
            )
        try:
            yield
        finally:
            # Only the outermost block removes the file: a nested one would let others in. It is removed before it is
            # released: two processes must not hold two different files.
            if self.finished and lock.lock_counter <= 1:
                with suppress(OSError):
                    self.lock_file.unlink(missing_ok=True)
            lock.release()

    def check(self, config: RunConfig | Mapping[str, Any], *, resume: bool) -> None:
        """Check that this run may be written here. Writes nothing.

        Args:
            config: the run's; or the settings of a `Trainer`, whose network no config describes.
            resume: whether a run with the same config may be there.

        A run that ended before its first epoch did, because its loss was NaN for example, leaves nothing to lose: any
        other may take its folder.

        Raises:
            RunError: the folder holds a run and ``resume`` is off, or it holds a run with another config, or it holds
                other files and no run.
        """
        if not self.started:
            if self.path.exists() and (not self.path.is_dir() or any(map(self._is_foreign, self.path.iterdir()))):
                raise RunError(f"{self.path} is not empty and holds no run; choose another folder with --out")
            return
        if self._has_only_begun:
            return
        if not resume:
            raise RunError(f"{self.path} already holds a run; add --resume to continue it, or choose another --out")
        if isinstance(config, RunConfig):
            different = differing_fields(self.read_config().to_dict(), config.to_dict())
        else:
            different = differing_fields(read_settings(self.config_file), config)
        if different:
            values = "; ".join(f"{name} is {old} there, {new} here" for name, (old, new) in different.items())
            raise RunError(
                f"{self.path} holds another run ({values}); resume with its own settings, or choose another --out"
            )

    def claim(self, config: RunConfig | Mapping[str, Any]) -> None:
        """Write the config, and remove what a process that was killed or failed has left."""
        for file in filter(self._is_leftover, self.path.iterdir()) if self.path.exists() else ():
            file.unlink(missing_ok=True)
        self.failure_file.unlink(missing_ok=True)
        self.write_json(self.config_file, config.to_dict() if isinstance(config, RunConfig) else config)

    @property
    def _has_only_begun(self) -> bool:
        """Whether the config of a run stands here, and nothing that a run writes later, or that others have written."""
        if any(file != self.config_file and self._is_foreign(file) for file in self.path.iterdir()):
            return False
        read_settings(self.config_file)
        return True

    def _is_foreign(self, file: Path) -> bool:
        return file not in (self.lock_file, self.failure_file, self.events_folder) and not self._is_leftover(file)

    def _is_leftover(self, file: Path) -> bool:
        """Whether this is a temporary file of `write_atomically` for one of the run's own files."""
        own = (self.config_file, self.metrics_file, self.checkpoint_file, self.summary_file, self.weights_file)
        further = (self.internals_file, self.predictions_file, self.failure_file)
        return any(is_temporary(file, of) for of in (*own, *further))

    def read_config(self) -> RunConfig:
        """The run's config.

        Raises:
            RunError: there is no run here, or its config is damaged.
        """
        return config_of(read_settings(self.config_file), self.config_file)

    def write_epoch(self, state: Mapping[str, Any], metrics: Sequence[Mapping[str, Any]]) -> None:
        """Save the state after an epoch: the checkpoint first, so that metrics never run ahead of it."""
        checkpoint.write(self.checkpoint_file, state)
        self.write_metrics(metrics)

    def write_metrics(self, metrics: Sequence[Mapping[str, Any]]) -> None:
        """Write one line for each epoch."""
        write_text(self.metrics_file, "".join(json.dumps(line) + "\n" for line in metrics))

    def read_checkpoint(self) -> dict[str, Any] | None:
        """The state to resume from; None before the end of the first epoch.

        The file is read as plain data: no code in it is ever executed.

        Raises:
            RunError: the file is damaged, or is no checkpoint of this package.
        """
        return checkpoint.read(self.checkpoint_file) if self.checkpoint_file.exists() else None

    def write_weights(self, state: Mapping[str, Tensor]) -> None:
        """Save the trained network."""
        write_tensors(self.weights_file, state)

    def read_weights(self) -> dict[str, Tensor]:
        """The trained network.

        Raises:
            RunError: the file is missing, damaged, or holds infinite values or NaN.
        """
        if not self.weights_file.exists():
            why = "its weights were not kept" if self.finished else "the run has not finished"
            raise RunError(f"{self.path} holds no {self.weights_file.name}: {why}")
        try:
            return read_tensors(self.weights_file)
        except ValueError as error:
            raise RunError(
                f"{self.weights_file} is damaged ({error}); delete the folder and repeat that run, or name another"
            ) from None
        except OSError as error:
            raise RunError(f"{self.weights_file} cannot be read ({error.strerror}); make it readable") from None

    def write_failure(self, error: BaseException) -> None:
        """Note what ended the run before its time."""
        self.write_json(self.failure_file, {"kind": type(error).__name__, "error": one_line(error)})

    def write_json(self, file: Path, values: Mapping[str, Any]) -> None:
        """Write one of the run's JSON files."""
        write_json(file, values)
