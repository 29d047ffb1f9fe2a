"""How far runs are, as their folders say, whoever trains them."""

import json
import re
from dataclasses import replace
from types import SimpleNamespace

import pytest
from grids import grid
from hypothesis import given
from hypothesis import strategies as st

from conductance.errors import InputError, RunError
from conductance.launch.options import LaunchOptions, SlurmOptions, minutes
from conductance.launch.plan import plan_runs
from conductance.launch.processes import Process
from conductance.launch.queue import Queued, parse_queue
from conductance.launch.status import STATES, Overview, RunStatus, status
from conductance.launch.tickets import Ticket, Tickets
from conductance.runs import RunFolder
from conductance.runs.locks import is_locked
from tiny_runs import run, tiny


@pytest.fixture
def half(interrupted):
    """The folder of a run of four epochs that was stopped in the third."""
    return interrupted(tiny(epochs=4), epoch=3)


def only(folder):
    [found] = status(folder).runs
    return found


def test_a_run_by_hand_is_stopped_running_failed_and_done(half):
    found = only(half)
    assert (found.state, found.epoch, found.epochs, found.name, found.job) == ("stopped", 2, 4, "tiny", None)
    assert found.seconds_left == pytest.approx(2 * found.seconds)
    with RunFolder(half).locked():
        assert only(half.parent).state == "running"
    assert only(half.parent).state == "stopped"
    RunFolder(half).write_failure(ValueError("two\nlines"))
    assert (only(half).state, only(half).reason) == ("failed", "two lines")
    run(tiny(epochs=4), half, resume=True)
    assert (only(half).state, only(half).epoch, only(half).seconds_left) == ("done", 4, 0.0)
    assert not RunFolder(half).failure_file.exists()


def test_looking_needs_no_right_to_write_and_takes_no_lock(half):
    lock = half / ".lock"
    before = lock.stat().st_mtime_ns
    lock.chmod(0o444)
    assert not is_locked(lock)
    assert not is_locked(half / "nothing")
    assert lock.stat().st_mtime_ns == before


def test_a_damaged_run_is_told_of_and_hides_no_other(half, tmp_path):
    run(tiny(epochs=1), tmp_path / "good")
    (half / "metrics.jsonl").write_text("5\n")
    damaged, good = sorted(status(tmp_path).runs, key=lambda found: found.state, reverse=True)
    assert (damaged.state, good.state) == ("failed", "done")
    assert "metrics.jsonl, line 1 is not a JSON object" in damaged.reason


@pytest.mark.parametrize("text", ["", "5", "[]", "{}", '{"process": 3}', '{"process": null, "moon": 1}', "[" * 100_000])
@pytest.mark.usefixtures("half")
def test_a_file_that_is_no_ticket_is_left_out(text, tmp_path):
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs/run.json").write_text(text)
    assert only(tmp_path).job is None


def test_without_runs_it_says_so(tmp_path):
    with pytest.raises(RunError, match="no runs found"):
        status(tmp_path)


def launched(out, half, **choices):
    """The state of the half finished run, and its reason, if this is its ticket."""
    Tickets(out).write(replace(Ticket(half.name, "tiny", 0, 4, "local"), **choices))
    found = only(out)
    return found.state, found.reason


def test_of_a_local_job_its_process_is_asked(half, tmp_path):
    here, gone = Process.of(), replace(Process.of(), born="another time")
    assert here.alive
    assert not gone.alive
    assert not replace(here, host="elsewhere").alive
    assert launched(tmp_path, half, process=here) == ("waiting", "its turn")
    assert launched(tmp_path, half, process=here, job="12") == ("running", "starting")
    assert launched(tmp_path, half, process=gone) == ("stopped", None)
    state, reason = launched(tmp_path, half, process=gone, job="12")
    assert state == "failed"
    assert reason.startswith("job 12 ended before the run did, without a word")
    with RunFolder(half).locked():
        assert launched(tmp_path, half, process=gone, job="12") == ("running", None)


@pytest.mark.parametrize(
    ("queue", "expected"),
    [
        ({"12_3": Queued("PENDING", "Priority")}, ("waiting", "Priority")),
        ({"12_3": Queued("RUNNING", "None")}, ("running", "starting")),
        ({"12_4": Queued("RUNNING", "None")}, ("failed", None)),
        ({}, ("failed", None)),
        (None, ("waiting", "Slurm does not answer here")),
    ],
)
def test_of_a_slurm_job_the_queue_is_asked(queue, expected, half, tmp_path, monkeypatch):
    monkeypatch.setattr("conductance.launch.status.read_queue", lambda users: queue if list(users) else None)
    state, reason = launched(tmp_path, half, cluster="slurm", job="12_3")
    assert state == expected[0]
    assert expected[1] in (reason, None)


def test_what_squeue_prints_is_read():
    answer = "12_3|PENDING|Resources\n 7|COMPLETING|None\n9|REQUEUE_HOLD|launch failed requeued held\nnonsense\n"
    assert parse_queue(answer) == {
        "12_3": Queued("PENDING", "Resources"),
        "7": Queued("COMPLETING", "None"),
        "9": Queued("REQUEUE_HOLD", "launch failed requeued held"),
    }


runs = st.lists(
    st.builds(
        RunStatus,
        folder=st.just("folder"),
        name=st.just("name"),
        seed=st.just(0),
        state=st.sampled_from(STATES),
        epoch=st.integers(0, 5),
        epochs=st.integers(5, 9),
        seconds_left=st.none() | st.floats(0, 1e6),
    ),
    max_size=8,
)


@given(runs)
def test_the_time_left_is_at_least_that_of_the_longest_and_at_most_that_of_all(found):
    overview = Overview("out", tuple(found))
    left = [run.seconds_left for run in found if run.state in ("running", "waiting")]
    known = [seconds for seconds in left if seconds is not None]
    assert sum(overview.counts.values()) == len(found)
    if not left:
        assert overview.seconds_left == 0
    elif not known:
        assert overview.seconds_left is None
    else:
        assert max(known) <= overview.seconds_left <= max(known) * len(left) * (1 + 1e-9)


def test_the_command_prints_a_table_and_json(half, tmp_path, call):
    RunFolder(half).write_failure(ValueError("a reason"))
    code, said, _ = call("status", tmp_path)
    assert code == 0
    assert re.search(r"tiny seed 0 +failed +2/4 +\d+\.\d+ .*a reason", said)
    assert "1 failed" in said
    code, said, _ = call("status", tmp_path, "--json")
    found = json.loads(said)
    assert found["counts"] == {"done": 0, "running": 0, "waiting": 0, "failed": 1, "stopped": 0}
    [only_run] = found["runs"]
    assert (only_run["folder"], only_run["epoch"], only_run["reason"]) == (str(half), 2, "a reason")


def test_it_can_be_watched_until_nothing_goes_on(half, tmp_path, call, monkeypatch):
    Tickets(tmp_path).write(Ticket(half.name, "tiny", 0, 4, "local", process=Process.of()))
    waited = []

    def wait(seconds):
        waited.append(seconds)
        run(tiny(epochs=4), half, resume=True)

    monkeypatch.setattr("conductance.cli.status.time", SimpleNamespace(sleep=wait))
    code, said, _ = call("status", tmp_path, "--watch")
    assert (code, waited) == (0, [2.0])
    assert "1 done" in said


# Options ---------------------------------------------------------------------------------------------------------


@given(st.integers(0, 30), st.integers(0, 23), st.integers(0, 59), st.integers(0, 59))
def test_every_form_of_a_time_is_read(days, hours, mins, seconds):
    whole = 1440 * days + 60 * hours + mins
    up = whole + bool(seconds)
    assert minutes(f"{days}-{hours}:{mins}:{seconds}") == up
    assert minutes(f"{24 * days + hours}:{mins:02}:{seconds:02}") == up
    assert minutes(f"{whole}:{seconds}") == up
    assert minutes(str(whole)) == whole
    assert minutes(f"{days}-{hours}:{mins}") == whole


@pytest.mark.parametrize("time", ["", "an hour", "1:2:3:4", "-5", "1.5", "0", "0:00:00"])
def test_what_is_no_time_is_refused(time):
    with pytest.raises(InputError, match=r"slurm\.time"):
        SlurmOptions(time=time)


@pytest.mark.parametrize(
    ("choices", "complaint"),
    [
        ({"jobs": 0}, "jobs=0: must be at least 1"),
        ({"cpus": -1}, "cpus=-1: must be at least 1"),
        ({"slurm": {"gpus": -1}}, r"slurm\.gpus=-1"),
        ({"slurm": {"sbatch": ("--qos=long",)}}, "'--qos=long' is no option of sbatch; write it as qos=long"),
        ({"slurm": {"sbatch": ("qos long",)}}, "no option of sbatch"),
    ],
)
def test_options_that_cannot_be_are_refused(choices, complaint):
    with pytest.raises(InputError, match=complaint):
        LaunchOptions(**{**choices, **({"slurm": SlurmOptions(**choices["slurm"])} if "slurm" in choices else {})})


def test_each_run_has_its_folder_and_the_command_that_repeats_it(tmp_path):
    planned = grid(tmp_path, seeds=2)
    assert [(each.path.name, each.config.seed) for each in planned] == [
        ("tiny-cwa-seed0", 0),
        ("tiny-affine-seed0", 0),
        ("tiny-cwa-seed1", 1),
        ("tiny-affine-seed1", 1),
    ]
    assert all(f"--seed {each.config.seed}" in each.command for each in planned)
    [again] = plan_runs([planned[2].config], 1, tmp_path)
    assert again.path == planned[2].path
