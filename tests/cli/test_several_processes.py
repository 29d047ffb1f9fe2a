"""``conductance train`` in several processes: what it prints, and what is left when one of them is killed.

A test takes 5 to 10 seconds: its processes import torch and wait for one another.
"""

import json
import shlex

import pytest

import several_processes
from conductance import cli
from conductance.runs import RunFolder
from conductance.training.progress import TrainingProgress
from several_processes import ends, started
from tiny_runs import at_step, lines

OPTIONS = "--model.widths 8 8 --data.augmentation none --device cpu"
EPOCHS = 3
IMAGES = 64
"""In a batch of all processes together."""

STEP = 26
"""In the middle of the second epoch: there are 21 in each."""

ROUNDING = 1e-4
"""What sums in another order may differ by after so many epochs, in float32."""

# One of the processes is killed at a step, whatever the machine does besides. Nothing imports torch before the command.
KILLED = f"""
import os, signal, sys
from rich.progress import Progress
from conductance import cli

steps = iter(range(1, {STEP}))
if os.environ["RANK"] == sys.argv.pop(1):
    Progress.advance = lambda *_: next(steps, None) or os.kill(os.getpid(), signal.SIGKILL)
cli.main(sys.argv[1:])
"""

# Several commands, one after the other: exit status, what is printed, and errors of each.
COMMANDS = """
import contextlib, io, json, sys
from conductance import cli

answers = []
for words in json.loads(sys.argv[1]):
    said, complained = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(complained):
        try:
            cli.main(words)
        except SystemExit as end:
            answers.append((end.code, said.getvalue(), complained.getvalue()))
print(json.dumps(answers))
"""


def words(out, processes, *more, epochs=EPOCHS):
    shares = f"--epochs {epochs} --data.batch-size {IMAGES // processes} --out {shlex.quote(str(out))}"
    return ["train", "digits-fcn-cwa", *shlex.split(f"{OPTIONS} {shares}"), *more]


def killed(out, processes, victim):
    """Start a run in several processes, one of which is killed; what the others leave behind."""
    with started(["-c", KILLED, victim, *words(out, processes)], processes) as running:
        others = [end for rank, end in enumerate(ends(running)) if rank != victim]
    assert running[victim].returncode == -9
    assert RunFolder(out).read_checkpoint()["loader"]["together"] == IMAGES
    assert not (out / "summary.json").exists()
    return others


def check_one_line(others, processes):
    """They end by themselves, with the exit status of an error, and one of them says why."""
    assert {status for status, _, _ in others} == {2}
    [line] = [line for _, _, errors in others for line in errors.splitlines()]
    assert line.startswith("error: ")
    assert f"another of the {processes} processes has ended or does not answer" in line
    assert "every epoch that was finished is kept" in line


def largest_difference(first, second):
    one, other = (RunFolder(out).read_weights() for out in (first, second))
    return max(float((one[name] - other[name]).abs().max()) for name in one)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The run of one process that nothing stops."""
    out = tmp_path_factory.mktemp("whole") / "run"
    cli.main(words(out, 1))
    return out


def test_one_killed_ends_the_other_in_one_line_and_one_alone_goes_on_with_the_same_batches(tmp_path, whole):
    out = tmp_path / "run"
    check_one_line(killed(out, 2, victim=1), 2)
    cli.main(words(out, 2, "--resume"))
    assert largest_difference(out, whole) < ROUNDING
    for here, there in zip(lines(out), lines(whole), strict=True):
        assert here == pytest.approx(there, rel=ROUNDING)


def test_two_go_on_where_one_was_stopped(tmp_path, whole, monkeypatch):
    def interrupt():
        raise KeyboardInterrupt

    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(TrainingProgress, "step", at_step(STEP, interrupt))
        with pytest.raises(SystemExit, match="130"):
            cli.main(words(out, 1))
    several_processes.run(["-m", "conductance", *words(out, 1, "--resume")], 2)
    assert largest_difference(out, whole) < ROUNDING


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 3])
def test_one_of_four_killed_ends_the_others_in_one_line_and_two_go_on(victim, tmp_path, whole):
    out = tmp_path / "run"
    check_one_line(killed(out, 4, victim), 4)
    several_processes.run(["-m", "conductance", *words(out, 4, "--resume")], 2)
    assert largest_difference(out, whole) < ROUNDING


def test_an_error_of_all_is_one_line_of_the_first(whole):
    complaints = {
        "already holds a run": words(whole, 1),
        "did you mean --epochs": words(whole, 1, "--epoch", "3"),
        "conductance report runs in one process": ["report", str(whole)],
    }
    with started(["-c", COMMANDS, json.dumps(list(complaints.values()))], 2) as running:
        (_, first, _), (_, second, _) = ends(running)
    assert json.loads(second) == [[2, "", ""]] * len(complaints)
    for complaint, (status, printed, line) in zip(complaints, json.loads(first), strict=True):
        assert (status, printed) == (2, "")
        assert complaint in line
        assert len(line.splitlines()) == 1


LAUNCHERS = {
    "torchrun": ["torch.distributed.run", "--nproc-per-node", "2"],
    "accelerate": ["accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1"],
}


@pytest.mark.slow
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_launchers_start_it_without_any_change(launcher, tmp_path):
    launch = ["-m", *LAUNCHERS[launcher], "-m", "conductance", *words(tmp_path / "run", 2, epochs=1)]
    with started(launch, 1) as running:
        [(status, printed, errors)] = ends(running)
    assert status == 0, errors
    assert printed.count("epoch   1/1") == printed.count("test accuracy") == 1
