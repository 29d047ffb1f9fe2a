"""Run folders found on disk."""

import os
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from conductance.errors import RunError
from conductance.runs.records import Record, read_config, read_epochs, read_internals, read_summary


@dataclass(frozen=True)
class Run:
    """One training run; `summary` is None while it is unfinished, `internals` where it recorded none."""

    path: Path
    config: Record
    epochs: tuple[Record, ...]
    summary: Record | None
    internals: Record | None

    @property
    def seed(self) -> int:
        """The seed it was started with."""
        return self.config["seed"]

    @property
    def finished(self) -> bool:
        """Whether it reached its last epoch and wrote its summary."""
        return self.summary is not None

    @property
    def progress(self) -> str:
        """How far it has come, in words."""
        return f"seed {self.seed}: {len(self.epochs)} of {self.config['epochs']} epochs"


def load_runs(paths: Iterable[str | Path]) -> list[Run]:
    """Every run under `paths`, each once, in the order of their folders.

    A path is a run folder (it holds a config.json) or stands for all the run folders inside it.
    """
    places = [Path(path) for path in paths]
    folders = sorted({folder.resolve() for place in places for folder in _run_folders(place)})
    if not folders:
        searched = ", ".join(map(str, places)) or "an empty list of paths"
        raise RunError(f"no runs found in {searched}; give run folders (each holds a config.json) or a folder of them")
    return [_load(folder) for folder in folders]


def _run_folders(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        problem = "is not a folder" if path.exists() else "does not exist"
        raise RunError(f"{path} {problem}; give a run folder or a folder of run folders")
    seen: set[str] = set()  # links are followed, in circles too
    for folder, inside, files in os.walk(path, followlinks=True, onerror=partial(_cannot_be_read, path)):
        place = os.path.realpath(folder)
        if "config.json" in files and place not in seen:
            yield Path(folder)
        if "config.json" in files or place in seen:
            inside.clear()
        seen.add(place)


def _cannot_be_read(named: Path, error: OSError) -> None:
    complaint = f"{error.filename} cannot be read ({error.strerror})"
    if error.filename == str(named):
        raise RunError(f"{complaint}; make it readable, or leave it out") from error
    warnings.warn(f"{complaint}, and is left out", stacklevel=2)


def _load(folder: Path) -> Run:
    config = read_config(folder / "config.json")
    metrics, summary, internals = (folder / name for name in ("metrics.jsonl", "summary.json", "internals.json"))
    finished = summary.exists()
    return Run(
        path=folder,
        config=config,
        epochs=read_epochs(metrics, finished=finished) if finished or metrics.exists() else (),
        summary=read_summary(summary) if finished else None,
        internals=read_internals(internals) if internals.exists() else None,
    )
