"""A grid of runs on a Slurm cluster of one node, with a time-out, a cancelled job and no accounting."""

import subprocess
import time

import pytest
import slurm_site
from grids import grid
from rich.console import Console

from conductance.errors import ConductanceError
from conductance.launch.launch import launch
from conductance.launch.options import LaunchOptions, SlurmOptions
from conductance.launch.queue import read_queue
from conductance.launch.status import status
from conductance.launch.tickets import Tickets
from tiny_runs import lines, run, weights

pytest.importorskip("submitit", reason="needs the extra cluster")
pytestmark = pytest.mark.skipif(bool(slurm_site.missing()), reason=slurm_site.missing() or "there is Slurm")

PATIENCE = 240
LONG = {"epochs": 20, "data__batch_size": 20}
"""Some seconds, so that a job can be interrupted in the middle."""


@pytest.fixture(scope="module", autouse=True)
def _site(tmp_path_factory):
    with (
        slurm_site.slurm_site(tmp_path_factory.mktemp("slurm") / "site") as environment,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in {**environment, "OMP_NUM_THREADS": "1"}.items():
            patch.setenv(name, value)
        yield


def wait_for(out, name, condition):
    """Look until a run is as wanted."""
    patience = time.monotonic() + PATIENCE
    while not condition(found := state_of(status(out), name)):
        assert time.monotonic() < patience, found
        assert found.state != "done", found
        time.sleep(0.05)
    return found


def interrupt_each(out, commands):
    """Give a command for each run once it has finished an epoch."""
    left, patience = dict(commands), time.monotonic() + PATIENCE
    while left:
        assert time.monotonic() < patience
        found = {name: state_of(status(out), name) for name in left}
        for name in [name for name, seen in found.items() if seen.epoch > 0]:
            subprocess.run(left.pop(name), check=True)
        time.sleep(0.05)


def state_of(found, name):
    return next(run for run in found.runs if run.name == f"tiny-{name}")


def jobs_of(out):
    return {ticket.name.removeprefix("tiny-"): ticket.job for ticket in Tickets(out).read().values()}


@pytest.mark.slow
def test_a_grid_with_a_time_out_a_cancelled_job_and_a_failure_ends_as_local_runs_do(tmp_path):
    out, quiet = tmp_path / "out", Console(quiet=True)
    runs, options = grid(out, **LONG), LaunchOptions("slurm", slurm=SlurmOptions(time="10"))
    runs += grid(out, families=("affine_bn",), epochs=1, optimizer__readout_learning_rate=1e38)
    assert subprocess.run(["sacct"], capture_output=True, check=False).returncode != 0  # no accounting here

    assert {run.state for run in launch(runs, out, options, quiet)} <= {"waiting", "running"}
    jobs = jobs_of(out)
    launch(runs, out, options, quiet)
    assert jobs_of(out) == jobs  # nothing was missing

    over = ["scancel", "--signal=USR2", jobs["cwa"]]  # what Slurm does when the time of a job is over
    interrupt_each(out, {"cwa": over, "affine": ["scancel", jobs["affine"]]})
    cancelled = wait_for(out, "affine", lambda run: run.state == "failed")
    assert f"job {jobs['affine']} ended before the run did" in cancelled.reason
    assert 0 < cancelled.epoch < cancelled.epochs
    diverged = wait_for(out, "affine_bn", lambda run: run.state == "failed")
    assert "the loss is" in diverged.reason
    assert "the loss is" in diverged.log.read_text()

    ended = launch(runs[:2], out, LaunchOptions("slurm", wait=True), quiet)
    assert [run.state for run in ended] == ["done", "done"]
    again = jobs_of(out)
    assert {name for name in jobs if again[name] == jobs[name]} == {"cwa", "affine_bn"}
    assert "Requeued job" in state_of(status(out), "cwa").log.read_text()  # by itself
    for each in runs[:2]:
        run(each.config, tmp_path / each.path.name)
        assert lines(each.path) == lines(tmp_path / each.path.name)
        assert weights(each.path) == weights(tmp_path / each.path.name)


def test_what_slurm_refuses_is_said_in_one_line(tmp_path):
    options = LaunchOptions("slurm", slurm=SlurmOptions(partition="moon"))
    with pytest.raises(ConductanceError, match=r"^Slurm refuses the jobs: .*invalid partition.*; change --slurm\.\*$"):
        launch(grid(tmp_path), tmp_path, options, Console(quiet=True))
    assert not Tickets(tmp_path).read()


# Imported by every Python that finds it: each step of a training takes this long at least, however fast the machine is.
SLOWLY = """
import time
from rich.progress import Progress

advance = Progress.advance

def slowly(*arguments):
    time.sleep(0.5)
    advance(*arguments)

Progress.advance = slowly
"""


@pytest.mark.slow
def test_a_run_longer_than_its_time_takes_several_turns(tmp_path):
    """Slurm tells jobs of two minutes between 30 and 60 s before their end. These wait 40 s before they begin.

    So a turn has 50 s at most; ten epochs of 13 steps take 65 s.
    """
    (tmp_path / "sitecustomize.py").write_text(SLOWLY)
    [slow] = grid(tmp_path / "out", families=("cwa",), epochs=10)
    setup = ("sleep 40", f"export PYTHONPATH={tmp_path}:$PYTHONPATH")
    options = LaunchOptions("slurm", wait=True, slurm=SlurmOptions(time="2", setup=setup))
    [ended] = launch([slow], tmp_path / "out", options, Console(quiet=True))
    assert ended.state == "done", ended.reason
    assert ended.log.read_text().count("Requeued job") >= 1
    run(slow.config, tmp_path / "local")
    assert lines(slow.path) == lines(tmp_path / "local")
    assert weights(slow.path) == weights(tmp_path / "local")


def test_the_queue_answers_without_accounting_and_says_when_it_cannot(monkeypatch):
    assert read_queue(["root"]) is not None
    assert read_queue([]) is None
    monkeypatch.setattr("conductance.launch.queue.PATIENCE", 1)
    monkeypatch.setenv("SLURM_CONF", "/nonexistent/slurm.conf")
    assert read_queue(["root"]) is None
