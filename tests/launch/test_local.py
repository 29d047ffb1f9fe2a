"""Grids of runs in processes on this machine."""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from grids import grid
from rich.console import Console

from conductance import cli
from conductance.errors import ConductanceError, InputError, RunError
from conductance.launch.launch import launch
from conductance.launch.options import LaunchOptions
from conductance.launch.status import status
from conductance.launch.tickets import Tickets
from conductance.runs import RunFolder
from tiny_runs import lines, run, weights

pytest.importorskip("submitit", reason="needs the extra cluster")

PATIENCE = 240
LOCAL = LaunchOptions("local", jobs=2)
GRID = "train digits-fcn-cwa digits-fcn-affine --model.widths 8 8 --epochs 12 --data.batch-size 20 --device cpu"
LAUNCHED = [*GRID.split(), "--cluster", "local", "--jobs", "2", "--out"]

on_linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")


@pytest.fixture(autouse=True)
def _of_the_jobs(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))


@pytest.fixture
def start():
    """Start the command line as a process that does not outlive the test."""
    processes = []

    def run(*arguments):
        command = [sys.executable, "-m", "conductance", *map(str, arguments)]
        processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return processes[-1]

    yield run
    for process in processes:
        process.terminate()
        process.communicate()


def wait_for(launcher, out, condition):
    """Look until the runs are as wanted."""
    patience = time.monotonic() + PATIENCE
    while not condition(found := runs_in(out)):
        assert time.monotonic() < patience
        assert launcher.poll() is None, launcher.communicate()
        time.sleep(0.05)
    return found


def runs_in(out):
    """The runs by their names; none where there is nothing yet."""
    try:
        return {run.name: run for run in status(out).runs}
    except RunError:
        return {}


def training_process(out, name):
    """The process that trains a run: the child of the job's."""
    controller = Tickets(out).read()[f"{name}-seed0"].process.number
    return int(Path(f"/proc/{controller}/task/{controller}/children").read_text().split()[0])


@on_linux
def test_a_killed_job_stops_no_other_and_is_the_only_one_launched_again(start, tmp_path, capsys):
    """A launcher and three jobs, each a process that imports torch: some 15 seconds."""
    out, killed, other = tmp_path / "out", "digits-fcn-cwa", "digits-fcn-affine"
    launcher = start(*LAUNCHED, out)
    wait_for(launcher, out, lambda runs: len(runs) == 2 and runs[killed].epoch > 0)
    os.kill(training_process(out, killed), signal.SIGKILL)
    said, complained = launcher.communicate(timeout=PATIENCE)
    assert (launcher.returncode, complained) == (1, "")
    found = runs_in(out)
    assert (found[killed].state, found[other].state) == ("failed", "done")
    assert re.search(rf"failed: {killed} seed 0: job \d+ ended before the run did, .*; log: .*_log\.out", said)
    assert found[killed].log.read_text().count("epoch ") >= found[killed].epoch > 0

    before = Tickets(out).read()
    cli.main([*LAUNCHED, str(out)])
    assert "2 runs in" in (said := capsys.readouterr().out)
    assert "1 done, 1 to launch" in said
    assert Tickets(out).read()[f"{other}-seed0"] == before[f"{other}-seed0"]
    folder = out / f"{killed}-seed0"
    run(RunFolder(folder).read_config(), tmp_path / "undisturbed")
    assert (lines(folder), weights(folder)) == (lines(tmp_path / "undisturbed"), weights(tmp_path / "undisturbed"))


@on_linux
def test_a_launcher_that_is_stopped_ends_its_jobs_and_says_how_to_go_on(start, tmp_path):
    """A launcher and a job, each a process that imports torch: some 8 seconds."""
    out = tmp_path / "out"
    launcher = start(*LAUNCHED[:-2], "1", "--out", out)
    running = wait_for(launcher, out, lambda runs: any(run.epoch > 0 for run in runs.values()))
    assert sorted(run.state for run in running.values()) == ["running", "waiting"]
    launcher.terminate()
    said, _ = launcher.communicate(timeout=PATIENCE)
    assert launcher.returncode == 128 + signal.SIGTERM
    assert shlex.split(said.splitlines()[-1]) == ["conductance", *LAUNCHED[:-2], "1", "--out", str(out)]
    assert {run.state for run in status(out).runs} == {"stopped"}


def test_what_another_process_trains_is_left_to_it(tmp_path):
    runs = grid(tmp_path, epochs=1)
    with runs[0].folder.locked():
        ended = launch(runs, tmp_path, LOCAL, Console(quiet=True))
    assert [(run.name, run.state) for run in ended] == [("tiny-affine", "done")]


def test_a_failure_is_kept_with_its_reason_until_the_run_goes_on(tmp_path):
    [bad] = grid(tmp_path, families=("cwa",), epochs=1, optimizer__readout_learning_rate=1e38)
    [failed] = launch([bad], tmp_path, LOCAL, Console(quiet=True))
    assert failed.state == "failed"
    assert re.search(r"the loss is (nan|inf)", failed.reason)
    assert "Traceback" not in failed.log.read_text()
    assert "error: " in failed.log.read_text()


def test_what_cannot_be_launched_is_refused_before_any_work(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="seeds=0: must be at least 1"):
        grid(tmp_path, seeds=0)
    with pytest.raises(InputError, match="two of the runs are called tiny-cwa seed 0"):
        grid(tmp_path, families=("cwa", "cwa"))
    run(grid(tmp_path / "other", families=("affine",), epochs=1)[0].config, tmp_path / "out/tiny-cwa-seed0")
    with pytest.raises(RunError, match="tiny-cwa-seed0 holds another run"):
        grid(tmp_path / "out")
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(ConductanceError, match=r"submitit is needed for --cluster local .*conductance\[cluster\]"):
        launch(grid(tmp_path / "new"), tmp_path / "new", LOCAL, Console(quiet=True))
    assert not (tmp_path / "new").exists()


def test_where_there_is_no_slurm_it_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConductanceError, match=r"there is no Slurm here .*; choose --cluster local"):
        launch(grid(tmp_path / "new"), tmp_path / "new", LaunchOptions("slurm"), Console(quiet=True))
    assert not (tmp_path / "new").exists()


def test_without_a_cluster_runs_follow_one_another_and_a_failure_stops_none(tmp_path):
    runs = grid(tmp_path, families=("cwa",), epochs=1, optimizer__readout_learning_rate=1e38)
    runs += grid(tmp_path, families=("affine",), epochs=1)
    with pytest.warns(UserWarning, match="the loss is"):
        ended = launch(runs, tmp_path, LaunchOptions(), Console(quiet=True))
    assert [run.state for run in ended] == ["done", "failed"]
