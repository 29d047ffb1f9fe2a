"""Ctrl-C ends any command with one line and status 130, whatever is going on."""

import os
import signal
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from rich.console import Console

from conductance import cli
from conductance.cli.interruption import interruptible, resumable

PROGRAM = Path(sysconfig.get_path("scripts")) / "conductance"
INTERRUPTED_IMPORT = """
import os, signal
try:
    os.kill(os.getpid(), signal.SIGINT)
    for _ in range(100_000): pass
except BaseException as hidden:  # as extension modules do
    raise ImportError("half imported") from hidden
"""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


@pytest.mark.parametrize("module", ["torch", "numpy", "tyro", "rich"])
@pytest.mark.parametrize("command", ["presets", "train mnist-cnn-cwa", "evaluate run", "reproduce table1", "demo"])
def test_during_an_import_that_hides_it(command, module, tmp_path):
    (tmp_path / f"{module}.py").write_text(INTERRUPTED_IMPORT)
    (tmp_path / "empty").mkdir()
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    ran = subprocess.run(
        [PROGRAM, *command.split()],
        cwd=tmp_path / "empty",
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (130, "", "stopped\n")
    assert list((tmp_path / "empty").iterdir()) == []


@pytest.fixture
def _ctrl_c_is_heard():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_ctrl_c_is_heard")
def test_at_work(monkeypatch, capsys):
    from conductance.cli import presets

    monkeypatch.setattr(presets, "run", lambda _: signal.raise_signal(signal.SIGINT))
    with pytest.raises(SystemExit) as end:
        cli.main(["presets"])
    assert end.value.code == 130
    assert capsys.readouterr() == ("", "stopped\n")


@pytest.mark.usefixtures("_ctrl_c_is_heard")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_command_that_keeps_its_work_says_how_to_continue(number, tmp_path, capsys):
    handlers = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    work = resumable(Console(width=20), ["conductance", "train", "a b"], tmp_path / "[run]")
    with pytest.raises(SystemExit) as end, interruptible(), work:
        signal.raise_signal(number)
    assert end.value.code == 128 + number
    out, err = capsys.readouterr()
    kept = f"every finished epoch is kept in {tmp_path / '[run]'}"
    assert out == f"\nstopped; {kept}. To go on:\n  conductance train 'a b'\n"
    assert err == ""
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == handlers


def test_a_background_job_goes_on_ignoring_it():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with interruptible():
            signal.raise_signal(signal.SIGINT)
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
