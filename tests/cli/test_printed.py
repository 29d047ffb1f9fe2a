"""What becomes of what is printed: a full device, a closed pipe, a name that would command the terminal."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from conductance import cli
from conductance.cli.console import console, open_console
from synthetic_runs import write_run

PRINTING = [["--help"], ["--version"], ["presets"], ["models"], ["train"], ["train", "digits-fcn-cwa", "--help"]]


class Standard(io.TextIOWrapper):
    """A standard output in a file of the system."""

    def __init__(self, number):
        super().__init__(open(number, "wb"), "utf-8")  # noqa: SIM115 (it closes it)


@pytest.fixture
def printed_to(monkeypatch, capsys):
    """Run a command whose standard output goes elsewhere; gives its status and what it complained of."""

    def run(place, words):
        with Standard(place) as stream:
            monkeypatch.setattr(sys, "stdout", stream)
            monkeypatch.setattr(console, "_file", None)
            monkeypatch.setattr(console, "quiet", False)  # rich sets it where a pipe is closed
            with pytest.raises(SystemExit) as ended:
                cli.main([str(word) for word in words])
            monkeypatch.undo()
        return ended.value.code, capsys.readouterr().err

    return run


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
@pytest.mark.parametrize("words", [*PRINTING, ["report"]], ids=" ".join)
def test_a_full_device_is_one_line(words, printed_to, tmp_path):
    if words == ["report"]:
        words = ["report", write_run(tmp_path / "a", epochs=2), "--out", tmp_path / "r.csv"]
    status, said = printed_to("/dev/full", words)
    assert (status, said) == (
        2,
        "error: standard output cannot be written (No space left on device); send it elsewhere\n",
    )


@pytest.mark.parametrize("words", PRINTING, ids=" ".join)
def test_a_closed_pipe_ends_a_command_quietly(words, printed_to):
    reading, writing = os.pipe()
    os.close(reading)
    status, said = printed_to(writing, words)
    assert status in (1, 2)  # train without a preset is a mistake in any case
    assert said == ""


@pytest.mark.parametrize("redirection", [">&-", "> /dev/full", "| true"])
def test_a_process_leaves_no_traceback(redirection):
    command = f"{sys.executable} -m conductance --help {redirection}"
    ended = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert "Traceback" not in ended.stderr
    assert len(ended.stderr.splitlines()) <= 1


HOSTILE = "\x1b[2J\x1b]0;title\x07 \u202e\x9b31m"


def test_a_name_cannot_command_the_terminal(monkeypatch):
    screen = io.StringIO()
    monkeypatch.setattr(sys, "stdout", screen)
    opened = open_console()
    opened.print(f"run {HOSTILE}", markup=False)
    opened.print(f"[bold]{HOSTILE}[/]")
    assert not set(screen.getvalue()) & set("\x1b\x07\u202e\x9b")
    assert screen.getvalue().count(r"\x1b[2J") == 2


def test_an_error_cannot_command_the_terminal(call):
    status, _, said = call("report", f"/nowhere/{HOSTILE}")
    assert status == 2
    assert said.startswith(r"error: /nowhere/\x1b[2J")
    assert not set(said) & set("\x1b\x07\u202e\x9b")
