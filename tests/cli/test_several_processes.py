"""``conductance train`` in several processes: what it prints, and what is left when one of them is killed."""

import shlex
import time

import pytest

import several_processes
from conductance import cli
from conductance.runs import RunFolder
from several_processes import PATIENCE, ends, started
from tiny_runs import lines

OPTIONS = "--model.widths 8 8 --data.augmentation none --device cpu"
EPOCHS = 8
IMAGES = 64
"""In a batch of all processes together."""

ROUNDING = 1e-4
"""What sums in another order may differ by after so many epochs, in float32."""


def words(out, processes, *more, epochs=EPOCHS):
    shares = f"--epochs {epochs} --data.batch-size {IMAGES // processes} --out {shlex.quote(str(out))}"
    return ["train", "digits-fcn-cwa", *shlex.split(f"{OPTIONS} {shares}"), *more]


def wait_for_an_epoch(out, process):
    until = time.monotonic() + PATIENCE
    while not (out / "checkpoint.pt").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.01)


def killed(out, processes, victim):
    """Start a run in several processes and kill one of them; what the others leave behind."""
    with started(["-m", "conductance", *words(out, processes)], processes) as running:
        wait_for_an_epoch(out, running[0])
        running[victim].kill()
        others = [end for rank, end in enumerate(ends(running)) if rank != victim]
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


def test_two_go_on_where_one_was_stopped(tmp_path, whole):
    out = tmp_path / "run"
    [(status, _, _)] = interrupted(out)
    assert status == -9
    several_processes.run(["-m", "conductance", *words(out, 1, "--resume")], 2)
    assert largest_difference(out, whole) < ROUNDING


def interrupted(out):
    with started(["-m", "conductance", *words(out, 1)], 1) as running:
        wait_for_an_epoch(out, running[0])
        running[0].kill()
        return ends(running)


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 3])
def test_one_of_four_killed_ends_the_others_in_one_line_and_two_go_on(victim, tmp_path, whole):
    out = tmp_path / "run"
    check_one_line(killed(out, 4, victim), 4)
    several_processes.run(["-m", "conductance", *words(out, 4, "--resume")], 2)
    assert largest_difference(out, whole) < ROUNDING


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        (lambda out: words(out, 1), "already holds a run"),
        (lambda out: words(out, 1, "--epoch", "3"), "did you mean --epochs"),
        (lambda out: ["report", str(out)], "conductance report runs in one process"),
    ],
)
def test_an_error_of_all_is_one_line_of_the_first(command, complaint, whole):
    with started(["-m", "conductance", *command(whole)], 2) as running:
        (first, printed, line), (second, *other) = ends(running)
    assert (first, second, printed, other) == (2, 2, "", ["", ""])
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
