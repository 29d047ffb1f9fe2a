"""A run's folder: what is written where, and never half."""

import errno
import io
import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from safetensors.torch import load_file, save
from torch import Tensor

from conductance.errors import RunError
from conductance.files import is_temporary, write_atomically, write_text
from conductance.runs.config import RunConfig, config_from_dict
from conductance.runs.fields import differing_fields

FORMAT = "conductance-checkpoint-2"


class BusyRunError(RunError):
    """Another process is at a run."""


class RunFolder:
    """The files of one run.

    ``config.json`` what was asked; ``metrics.jsonl`` one line per epoch; ``checkpoint.pt`` where to go on from, while
    it runs; ``summary.json``, ``model.safetensors`` and ``internals.json`` once it has finished. Until then
    ``.lock`` is held by the process that is at it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config_file = path / "config.json"
        self.metrics_file = path / "metrics.jsonl"
        self.checkpoint_file = path / "checkpoint.pt"
        self.summary_file = path / "summary.json"
        self.weights_file = path / "model.safetensors"
        self.internals_file = path / "internals.json"
        self.lock_file = path / ".lock"

    @property
    def finished(self) -> bool:
        """Whether the run has reached its end."""
        return self.summary_file.exists()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep the run to this process for a block, and for blocks within it.

        The operating system drops the lock of a process that is no more; where it has no locks, a warning says so.

        Raises:
            BusyRunError: another process is at this run.
            RunError: the folder cannot be written to.
        """
        lock = FileLock(self.path.resolve() / self.lock_file.name, timeout=0, is_singleton=True)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except Timeout:
            raise BusyRunError(f"another process is at {self.path}; let it end, or choose another --out") from None
        except (OSError, NotImplementedError) as error:
            if not (isinstance(error, NotImplementedError) or error.errno in (errno.ENOLCK, errno.ENOTSUP)):
                raise RunError(
                    f"cannot lock {self.path} ({error.strerror or error}); choose an --out that you may write to"
                ) from error
            warnings.warn(f"{self.path}: no locks here ({error}); let no two processes share a run", stacklevel=3)
        try:
            yield
        finally:
            if self.finished:  # nobody has anything left to do here, so that no two can come by different locks
                with suppress(OSError):
                    self.lock_file.unlink(missing_ok=True)
            lock.release()

    def check(self, config: RunConfig, *, resume: bool) -> None:
        """Whether the folder can take this run; writes nothing.

        Raises:
            RunError: it holds a run and ``resume`` is off, it holds a run of another config, or it is some other
                folder with files in it.
        """
        if not self._holds_a_run():
            if self.path.exists() and (not self.path.is_dir() or any(map(self._is_anothers, self.path.iterdir()))):
                raise RunError(f"{self.path} is not empty and holds no run; choose another folder with --out")
            return
        if not resume:
            raise RunError(f"{self.path} already holds a run; add --resume to go on with it, or choose another --out")
        different = differing_fields(self.read_config().to_dict(), config.to_dict())
        if different:
            values = "; ".join(f"{name} is {old} there, {new} here" for name, (old, new) in different.items())
            raise RunError(
                f"{self.path} holds another run ({values}); resume with its own settings, or choose another --out"
            )

    def _holds_a_run(self) -> bool:
        try:
            return self.config_file.exists()
        except OSError as error:
            raise RunError(f"{self.path} cannot be looked into ({error.strerror}); make it readable") from error

    def claim(self, config: RunConfig) -> None:
        """Make the folder this run's, and clear what a process that was killed has left half-written."""
        for file in filter(self._is_leftover, self.path.iterdir()) if self.path.exists() else ():
            file.unlink(missing_ok=True)
        self.write_json(self.config_file, config.to_dict())

    def _is_anothers(self, file: Path) -> bool:
        return file.name != self.lock_file.name and not self._is_leftover(file)

    def _is_leftover(self, file: Path) -> bool:
        """Whether a file was to take the place of one of the run's own, see `write_atomically`."""
        own = (self.config_file, self.metrics_file, self.checkpoint_file, self.summary_file, self.weights_file)
        return any(is_temporary(file, of) for of in (*own, self.internals_file))

    def read_config(self) -> RunConfig:
        """The run's config.

        Raises:
            RunError: no run here, or its config cannot be read.
        """
        try:
            return config_from_dict(self.read_json(self.config_file))
        except (TypeError, ValueError, LookupError, AttributeError) as error:
            raise RunError(f"{self.config_file} is damaged: {error}") from None

    def read_json(self, file: Path) -> dict[str, Any]:
        """One of the run's JSON files.

        Raises:
            RunError: missing or damaged.
        """
        try:
            return json.loads(file.read_text())
        except FileNotFoundError:
            raise RunError(
                f"{self.path} holds no {file.name}: it is not a run, or one that has not got that far"
            ) from None
        except (OSError, json.JSONDecodeError, UnicodeDecodeError) as error:
            raise RunError(f"{file} is damaged: {error}") from None

    def read_summary(self) -> dict[str, Any]:
        """How a finished run ended.

        Raises:
            RunError: missing or damaged.
        """
        summary = self.read_json(self.summary_file)
        lacking = {"name", "seed", "epochs", "seconds", "test_accuracy", "best_test_accuracy"} - set(summary)
        if lacking:
            raise RunError(
                f"{self.summary_file} is damaged: it lacks {', '.join(sorted(lacking))}; delete it to resume"
            )
        return summary

    def write_epoch(self, checkpoint: Mapping[str, Any], metrics: Sequence[Mapping[str, Any]]) -> None:
        """Save where the run stands; an epoch among the metrics on disk is one that its checkpoint holds."""
        contents = io.BytesIO()  # torch's own writer hides why a disk does not take it
        torch.save({"format": FORMAT, **checkpoint}, contents)
        write_atomically(self.checkpoint_file, lambda file: file.write(contents.getbuffer()))
        self.write_metrics(metrics)

    def write_metrics(self, metrics: Sequence[Mapping[str, Any]]) -> None:
        """Write one line for each epoch."""
        write_text(self.metrics_file, "".join(json.dumps(line) + "\n" for line in metrics))

    def read_checkpoint(self) -> dict[str, Any] | None:
        """Where the run stands; None before the end of its first epoch.

        Raises:
            RunError: the file is damaged or no checkpoint of ours. Nothing in it is ever executed.
        """
        if not self.checkpoint_file.exists():
            return None
        remedy = f"delete {self.checkpoint_file} to start this run again from its first epoch"
        try:
            checkpoint = torch.load(self.checkpoint_file, map_location="cpu", weights_only=True)
        except Exception as error:  # zip, pickle and torch each have their own ways of saying so
            raise RunError(f"{self.checkpoint_file} is damaged ({type(error).__name__}); {remedy}") from None
        if not isinstance(checkpoint, dict) or checkpoint.get("format") != FORMAT:
            raise RunError(f"{self.checkpoint_file} is not a {FORMAT} file; {remedy}")
        return checkpoint

    def write_weights(self, state: Mapping[str, Tensor]) -> None:
        """Save the trained network."""
        contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
        write_atomically(self.weights_file, lambda file: file.write(save(contiguous)))

    def read_weights(self) -> dict[str, Tensor]:
        """The trained network.

        Raises:
            RunError: missing or damaged.
        """
        if not self.weights_file.exists():
            raise RunError(f"{self.path} holds no {self.weights_file.name}; has the run finished?")
        try:
            return load_file(self.weights_file)
        except Exception as error:
            raise RunError(f"{self.weights_file} is damaged: {error}") from None

    def write_json(self, file: Path, values: Mapping[str, Any]) -> None:
        """Write one of the run's JSON files atomically."""
        write_text(file, json.dumps(values, indent=2) + "\n")
