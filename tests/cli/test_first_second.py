"""Ctrl-C at any moment of the first two seconds, in real processes."""

import random
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest

PROGRAM = Path(sysconfig.get_path("scripts")) / "conductance"
COMMANDS = (
    "presets",
    "models",
    "train digits-fcn-cwa --epochs 3 --device cpu --out run",
    "demo --device cpu",
    "report .",
    "evaluate .",
    "check .",
    "simulate .",
    "bench layers --rounds 1",
)

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


def interrupted(command, seconds, folder):
    """Exit status and complaint of a command that Ctrl-C reaches after so long."""
    process = subprocess.Popen(
        [PROGRAM, *command.split()],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    _, complaint = process.communicate(timeout=600)
    return process.returncode, complaint


def is_an_answer(status, complaint):
    """Whether it stopped in one line, was over before, or Python had not come to the program yet."""
    if status == -signal.SIGINT or "<frozen site>" in complaint:
        return "dispatch" not in complaint  # what is called as soon as Ctrl-C is handled
    return status in (0, 1, 2, 128 + signal.SIGINT) and "Traceback" not in complaint and complaint.count("\n") <= 1


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(60))
def test_it_is_one_line_or_the_command_was_over(seed, tmp_path):
    draws = random.Random(seed)
    command, seconds = draws.choice(COMMANDS), draws.uniform(0, 2)
    status, complaint = interrupted(command, seconds, tmp_path)
    assert is_an_answer(status, complaint), f"{command} after {seconds:.2f} s: status {status}, {complaint[-500:]}"


@pytest.mark.parametrize("seconds", [0.1, 0.5])
def test_a_command_of_long_work_stops_with_130(seconds, tmp_path):
    status, complaint = interrupted("demo --device cpu", seconds, tmp_path)
    assert is_an_answer(status, complaint), f"{status}, {complaint[-500:]}"
    assert status in (-signal.SIGINT, 128 + signal.SIGINT)
