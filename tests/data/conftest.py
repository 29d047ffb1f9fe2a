"""Keeps the tests off this machine's own data, and off the network."""

from pathlib import Path
from types import SimpleNamespace

import platformdirs
import pytest

from conductance.data import DATASETS, files


@pytest.fixture
def places(tmp_path, monkeypatch):
    """The four places where files are looked for, in their order: all empty, all below `tmp_path`."""
    places = SimpleNamespace(**{name: tmp_path / name for name in ("given", "named", "cache", "system")})
    for folder in vars(places).values():
        folder.mkdir()
    monkeypatch.setenv("CONDUCTANCE_DATA", str(places.named))
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda _app: places.cache)
    monkeypatch.setattr(files, "SYSTEM_FOLDER", places.system)
    return places


@pytest.fixture
def publish(monkeypatch):
    """Make a specification the one that its name stands for."""
    return lambda name, specification: monkeypatch.setitem(DATASETS, name, specification)


@pytest.fixture
def torchvision_folder():
    """Where torchvision keeps the files of a data set, below its root."""
    return lambda name: Path(DATASETS[name].files.folders[0])
