"""A file is written whole, or it is left as it was."""

import os
import subprocess
import sys

import pytest
import torch

from conductance.errors import ConductanceError
from conductance.files import write_atomically, write_text
from conductance.runs import RunFolder
from tiny_runs import contents


@pytest.fixture
def old(tmp_path):
    path = tmp_path / "file"
    write_text(path, "old")
    return path


@pytest.mark.parametrize("error", [ValueError, OSError, KeyboardInterrupt])
def test_an_exception_in_the_middle_leaves_the_old_file(error, old):
    def write(file):
        file.write(b"half of it")
        file.flush()
        raise error("no more")

    with pytest.raises(ConductanceError if error is OSError else error, match="no more"):
        write_atomically(old, write)
    assert contents(old.parent) == {"file": b"old"}


def test_the_new_file_takes_the_place_of_the_old_only_once_it_is_whole(old):
    def write(file):
        file.write(b"new")
        file.flush()
        assert old.read_bytes() == b"old"

    write_atomically(old, write)
    assert contents(old.parent) == {"file": b"new"}


def test_a_replacement_that_fails_leaves_the_old_file(old, monkeypatch):
    def fail(*_):
        raise OSError("disk on fire")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(ConductanceError, match="disk on fire"):
        write_text(old, "new")
    assert contents(old.parent) == {"file": b"old"}


def test_a_checkpoint_that_cannot_be_saved_leaves_the_one_before(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.write_epoch({"weights": torch.ones(1000)}, [{"epoch": 1}])
    before = contents(folder.path)
    with pytest.raises((AttributeError, TypeError, RuntimeError)):
        folder.write_epoch({"weights": torch.ones(1000), "hopeless": lambda: None}, [{"epoch": 1}])
    assert contents(folder.path) == before


def test_others_may_read_what_was_written(old):
    assert old.stat().st_mode & 0o777 == 0o644


def test_a_folder_that_cannot_be_made_is_named(old):
    with pytest.raises(ConductanceError, match=f"cannot write {old / 'run' / 'config.json'} .*choose a place"):
        write_text(old / "run" / "config.json", "{}")


@pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")
def test_a_disk_that_is_full_is_one_error_and_leaves_the_checkpoint_before(tmp_path):
    """A process of its own, whose files may not grow: torch's writer would end in an error of its own kind."""
    program = """
import resource, signal, sys
from pathlib import Path
import torch
from conductance.errors import ConductanceError
from conductance.training import RunFolder
folder = RunFolder(Path(sys.argv[1]))
folder.write_epoch({"weights": torch.ones(10)}, [])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    folder.write_epoch({"weights": torch.ones(10_000)}, [])
except ConductanceError as error:
    print(error)
print(len(folder.read_checkpoint()["weights"]), [path.name for path in folder.path.iterdir() if path.name[0] == "."])
"""
    run = subprocess.run([sys.executable, "-c", program, str(tmp_path / "run")], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    said, left = run.stdout.splitlines()
    assert said.startswith(f"cannot write {tmp_path / 'run' / 'checkpoint.pt'} (File too large)")
    assert left == "10 []"


@pytest.mark.skipif(sys.platform == "win32", reason="permissions and links of POSIX")
def test_permissions_are_the_processs_and_links_stay(tmp_path):
    real, link = tmp_path / "real", tmp_path / "link"
    before = os.umask(0o077)
    try:
        write_text(real, "old")
    finally:
        os.umask(before)
    assert real.stat().st_mode & 0o777 == 0o600
    link.symlink_to(real)
    write_text(link, "new")
    assert link.is_symlink()
    assert real.read_text() == "new"
