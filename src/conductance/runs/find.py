"""Where the runs are: run folders found on disk."""

import os
import warnings
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from conductance.errors import RunError
from conductance.runs.folder import CONFIG
from conductance.runs.run import Run


def load_runs(paths: Iterable[str | Path]) -> list[Run]:
    """Every run under `paths`, each once, in the order of their folders.

    A path is a run folder (it holds a ``config.json``) or a folder with run folders anywhere inside it.

    Raises:
        RunError: no runs there, or a path that is no folder.
    """
    places = [Path(path) for path in paths]
    folders = sorted({folder.resolve() for place in places for folder in _run_folders(place)})
    if not folders:
        searched = ", ".join(map(str, places)) or "an empty list of paths"
        raise RunError(f"no runs found in {searched}; give run folders (each holds a {CONFIG}) or a folder of them")
    return [Run(folder) for folder in folders]


def _run_folders(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        problem = "is not a folder" if path.exists() else "does not exist"
        raise RunError(f"{path} {problem}; give a run folder or a folder of run folders")
    seen: set[str] = set()  # links are followed, and may form circles
    for folder, inside, files in os.walk(path, followlinks=True, onerror=partial(_cannot_be_read, path)):
        place = os.path.realpath(folder)
        if CONFIG in files and place not in seen:
            yield Path(folder)
        if CONFIG in files or place in seen:
            inside.clear()
        seen.add(place)


def _cannot_be_read(named: Path, error: OSError) -> None:
    complaint = f"{error.filename} cannot be read ({error.strerror})"
    if error.filename == str(named):
        raise RunError(f"{complaint}; make it readable, or leave it out") from error
    warnings.warn(f"{complaint}, and is left out", stacklevel=2)
