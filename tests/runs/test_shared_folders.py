"""Folders that several processes want, or that one was killed in."""

import errno
from pathlib import Path

import pytest
from filelock import FileLock

from conductance.errors import RunError
from conductance.runs import BusyRunError, RunFolder
from conductance.training import Trainer
from tiny_runs import run, tiny


def test_what_a_killed_process_left_half_written_blocks_nobody_and_is_cleared(tmp_path):
    config, folder = tiny(epochs=1), tmp_path / "run"
    folder.mkdir()
    left = [folder / f".{name}.0123456789abcdef" for name in ("config.json", "checkpoint.pt", "model.safetensors")]
    for file in left:
        file.write_bytes(b"half")
    run(config, folder, resume=True)
    assert not any(file.exists() for file in left)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / ".hidden").touch()
    with pytest.raises(RunError, match="is not empty and holds no run"):
        run(config, tmp_path / "other")


def test_two_processes_never_share_a_folder(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "run")
    with (
        FileLock(tmp_path / "run" / ".lock"),
        pytest.raises(BusyRunError, match=r"working on .*link;"),
    ):
        run(tiny(epochs=1), tmp_path / "link")
    assert [file.name for file in (tmp_path / "run").iterdir()] == [".lock"]
    run(tiny(epochs=1), tmp_path / "run")


def test_a_nested_block_that_ends_leaves_the_run_locked(tmp_path):
    run(tiny(epochs=1), tmp_path / "run")
    folder = RunFolder(tmp_path / "run")
    with folder.locked():
        with folder.locked():
            assert folder.finished
        assert folder.busy
    assert not folder.busy
    assert not folder.lock_file.exists()


def test_what_another_process_has_begun_meanwhile_is_not_trained_over(tmp_path, monkeypatch):
    before = Trainer.fit

    def late(self, **arguments):
        monkeypatch.setattr(Trainer, "fit", before)
        run(tiny("affine", epochs=1), tmp_path / "run")
        before(self, **arguments)

    monkeypatch.setattr(Trainer, "fit", late)
    with pytest.raises(RunError, match="already holds a run"):
        run(tiny(epochs=1), tmp_path / "run")
    assert RunFolder(tmp_path / "run").read_config().model.family == "affine"


def test_a_summary_that_says_nothing_is_no_end_of_a_run(tmp_path):
    run(tiny(epochs=1), tmp_path / "run")
    (tmp_path / "run" / "summary.json").write_text("{}")
    with pytest.raises(RunError, match=r"summary\.json lacks 'name'"):
        run(tiny(epochs=1), tmp_path / "run", resume=True)


def test_where_there_are_no_locks_a_warning_says_so(tmp_path, monkeypatch):
    def acquire(*_, **__):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(FileLock, "acquire", acquire)
    with pytest.warns(UserWarning, match="this file system has no locks .*; do not let two processes share a run"):
        assert run(tiny(epochs=1), tmp_path / "run")["epochs"] == 1


def test_an_editors_files_are_not_taken_for_leftovers(tmp_path):
    (tmp_path / ".config.json.swp").touch()
    with pytest.raises(RunError, match="is not empty and holds no run"):
        run(tiny(epochs=1), tmp_path)
    assert (tmp_path / ".config.json.swp").exists()


def test_the_folder_one_stands_in_may_be_the_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(tiny(epochs=1), Path("."))["epochs"] == 1
