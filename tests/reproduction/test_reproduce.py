"""`conductance reproduce`: real runs on the digits, cut off, gone on with, shared and refused."""

import csv
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import warnings

import pytest
import tiny_tables
from filelock import FileLock

from conductance import cli
from conductance.reproduction import plan
from conductance.reproduction.recipes import RECIPES, get_recipe
from conductance.runs import RunFolder
from conductance.training import NonFiniteLossError, train

RUNS = [f"presets/digits-fcn-{family}-seed{seed}" for seed in (0, 1) for family in ("cwa", "affine")]


@pytest.fixture(autouse=True)
def _tiny(monkeypatch):
    tiny_tables.install(monkeypatch.setitem)


@pytest.fixture
def call(capsys):
    """Run a command in this process; gives its exit status, stdout and stderr."""

    def run(*arguments):
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            try:
                cli.main(["reproduce", *map(str, arguments)])
                status = 0
            except SystemExit as end:
                status = end.code or 0
        return status, *capsys.readouterr()

    return run


@pytest.fixture(scope="module")
def reproduced(tmp_path_factory):
    """The folder of a finished table of two seeds."""
    out = tmp_path_factory.mktemp("reproduced") / "out"
    with pytest.MonkeyPatch.context() as patch:
        tiny_tables.install(patch.setitem)
        cli.main(["reproduce", "table1", "--seeds", "2", "--out", str(out), "--device", "cpu"])
    return out


def files(out):
    return {path: path.stat().st_mtime_ns for path in sorted(out.rglob("*")) if path.is_file()}


def test_it_trains_every_seed_of_every_cell(reproduced):
    summaries = {str(path.parent.relative_to(reproduced)) for path in reproduced.rglob("summary.json")}
    assert summaries == set(RUNS)
    for run in RUNS:
        config = RunFolder(reproduced / run).read_config()
        family, seed = re.fullmatch(r"presets/digits-fcn-(\w+)-seed(\d)", run).groups()
        assert config.seed == int(seed)
        assert config.to_dict() == {**tiny_tables.tiny_preset(family).to_dict(), "seed": int(seed)}


def test_the_table_holds_mean_and_deviation_beside_the_paper(reproduced):
    with (reproduced / "table1.csv").open(newline="") as file:
        rows = {row["family"]: row for row in csv.DictReader(file)}
    for family, paper in (("cwa", 91.5), ("affine", 92.25)):
        folders = [reproduced / f"presets/digits-fcn-{family}-seed{seed}" for seed in (0, 1)]
        lines = [[json.loads(line) for line in (f / "metrics.jsonl").read_text().splitlines()] for f in folders]
        a, b = (epochs[-1]["test_accuracy"] for epochs in lines)
        row = rows[family]
        assert float(row["mean"]) == pytest.approx((a + b) / 2, abs=1e-3)
        assert float(row["std"]) == pytest.approx(abs(a - b) / 2**0.5, abs=1e-3)
        best = sum(max(epoch["test_accuracy"] for epoch in epochs) for epochs in lines) / 2
        assert float(row["best_mean"]) == pytest.approx(best, abs=1e-3)
        assert (row["recipe"], row["epochs"], row["seeds"], float(row["paper"])) == ("presets", "2", "2", paper)
        assert row["command"] == "; ".join(f"conductance train digits-fcn-{family} --seed {k}" for k in (0, 1))
        assert f"| {(a + b) / 2 - paper:+.2f} |" in (reproduced / "table1.md").read_text()


def test_the_page_is_self_contained_and_shows_curves(reproduced):
    page = (reproduced / "tables.html").read_text()
    assert page.count("<svg") == 1
    assert not re.search(r"(src|href)=\"(?!#)", page)
    assert "family not available" in page


def test_the_report_writes_the_tables_again(reproduced, capsys, tmp_path):
    expected = {name: (reproduced / name).read_bytes() for name in ("table1.csv", "table1.md", "tables.html")}
    for name in expected:
        (reproduced / name).unlink()
    cli.main(["report", str(reproduced), "--out", str(tmp_path / "report.html")])
    assert "beside the paper: " in capsys.readouterr().out
    assert {name: (reproduced / name).read_bytes() for name in expected} == expected


def test_what_is_finished_is_not_done_again(reproduced, call, monkeypatch):
    before = {path: when for path, when in files(reproduced).items() if "presets" in path.parts}
    monkeypatch.setattr("conductance.training.trainer.Trainer.fit", lambda *_, **__: pytest.fail("trained again"))
    status, out, err = call("table1", "--seeds", "2", "--out", reproduced)
    assert (status, err) == (0, "")
    assert {path: files(reproduced)[path] for path in before} == before
    assert "beside the paper" in out


def test_a_plan_writes_nothing(call, tmp_path):
    status, out, err = call("table1", "--plan", "--seeds", "2", "--out", tmp_path / "out")
    assert (status, err) == (0, "")
    assert re.findall(r"digits-fcn-(\w+) seed (\d) +(\S+) +2 +to do", out) == [
        ("cwa", "0", "91.50"),
        ("affine", "0", "92.25"),
        ("cwa", "1", "91.50"),
        ("affine", "1", "92.25"),
    ]
    assert "time left not known yet" in out
    assert list(tmp_path.iterdir()) == []


def test_a_plan_tells_what_is_finished_and_how_long_the_rest_takes(reproduced, call):
    _, out, _ = call("table1", "--plan", "--seeds", "3", "--out", reproduced)
    accuracy = json.loads((reproduced / RUNS[0] / "summary.json").read_text())["test_accuracy"]
    assert re.search(rf"digits-fcn-cwa seed 0 .*finished, {accuracy:.2f} %", out)
    assert re.search(r"about \d+\.\d s left", out)
    assert "more runs" not in out
    _, out, _ = call("table1", "--plan", "--seeds", "2", "--out", reproduced)
    assert "nothing is left to train" in out


def test_a_run_that_has_begun_keeps_its_precision(reproduced):
    jobs = plan.plan_jobs(tiny_tables.TABLES["table1"][:1], RECIPES["presets"], 3, reproduced, precision="bf16")
    assert [(job.folder.started, job.config.precision) for job in jobs] == [(True, "no"), (True, "no"), (False, "bf16")]


def test_a_folder_of_0_1_goes_on_under_its_former_name(reproduced, tmp_path):
    shutil.copytree(reproduced / "presets", tmp_path / "modern")
    jobs = plan.plan_jobs(tiny_tables.TABLES["table1"], RECIPES["presets"], 2, tmp_path)
    assert {job.folder.path.parent for job in jobs} == {tmp_path / "modern"}
    assert not any(job.pending for job in jobs)


def test_the_former_name_of_a_recipe_warns():
    with pytest.warns(DeprecationWarning, match="'modern' is now called 'presets'"):
        assert get_recipe("modern") is RECIPES["presets"]


def test_the_time_left_is_that_of_the_missing_epochs(reproduced):
    jobs = plan.plan_jobs(tiny_tables.TABLES["table1"][:1], RECIPES["presets"], 3, reproduced)
    seconds = [epoch["seconds"] for job in jobs[:2] for epoch in job.epochs_done()]
    assert len(seconds) == 4
    assert plan.seconds_left(jobs)[2] == pytest.approx(2 * sum(seconds) / 4)
    assert plan.seconds_left(jobs)[0] == 0


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("table1", "--epochs", "1"), r"digits-fcn-cwa-seed0 holds another run \(epochs is 2 there, 1 here\)"),
        (("table1", "--seeds", "0"), "seeds=0: must be at least 1"),
        (("table1", "--epochs", "0"), "epochs=0: must be at least 1"),
        (("table1", "--cells", "digits-fcn-cwx"), "unknown cell of table1 'digits-fcn-cwx'"),
        (("table1", "--recipe", "preset"), "unknown recipe 'preset'; did you mean 'presets'"),
        (("table2", "--cells", "digits-fcn-made_of_glass"), "unknown layer family 'made_of_glass'"),
        (("table1", "--cells", "digits-fcn-affine", "--recipe", "paper-alive"), "no runs of its own"),
    ],
)
def test_a_mistake_is_refused_before_any_work(arguments, complaint, reproduced, call):
    before = files(reproduced)
    status, _, err = call(*arguments, "--out", reproduced)
    assert status == 2
    assert re.search(complaint, err)
    assert err.count("\n") == 1
    assert files(reproduced) == before


def test_a_place_that_cannot_be_written_to_is_named(call, tmp_path):
    (tmp_path / "file").write_text("")
    status, _, err = call("table1", "--out", tmp_path / "file")
    assert status == 2
    assert re.match(r"error: cannot lock .*choose an --out", err)


def test_a_family_that_is_not_there_is_left_out(call, tmp_path):
    status, out, _ = call("table2", "--seeds", "1", "--epochs", "1", "--out", tmp_path / "out")
    assert status == 0
    assert "digits-fcn-made_of_glass seed 0: family made_of_glass not available" in out
    assert [path.name for path in (tmp_path / "out/presets").iterdir()] == ["digits-fcn-cwa-seed0"]


def test_fewer_epochs_never_look_like_a_full_run(call, tmp_path):
    call("table1", "--cells", "digits-fcn-cwa", "--seeds", "1", "--epochs", "1", "--out", tmp_path)
    assert "presets; short: 1 of 2 epochs" in (tmp_path / "table1.csv").read_text()
    assert "presets; short: 1 of 2 epochs" in (tmp_path / "table1.md").read_text()
    assert "presets; short: 1 of 2 epochs" in (tmp_path / "tables.html").read_text()


def test_a_run_that_another_process_is_at_is_left_to_it(call, tmp_path):
    path = tmp_path / "presets/digits-fcn-cwa-seed0/.lock"
    path.parent.mkdir(parents=True)
    with FileLock(path):
        status, out, _ = call("table1", "--seeds", "1", "--epochs", "1", "--out", tmp_path)
    assert status == 0
    assert "digits-fcn-cwa seed 0: another process is working on it" in out
    assert not RunFolder(path.parent).config_file.exists()
    assert RunFolder(tmp_path / "presets/digits-fcn-affine-seed0").finished
    assert path.exists()  # left behind and held by nobody, it stops nobody
    call("table1", "--seeds", "1", "--epochs", "1", "--out", tmp_path)
    assert RunFolder(tmp_path / "presets/digits-fcn-cwa-seed0").finished


def test_a_run_whose_loss_is_no_number_does_not_stop_the_others(call, tmp_path, monkeypatch):
    def diverge(config, *arguments, **options):
        if config.model.family == "cwa":
            raise NonFiniteLossError("the loss is nan")
        return train(config, *arguments, **options)

    monkeypatch.setattr("conductance.reproduction.train.train", diverge)
    status, _, err = call("table1", "--seeds", "1", "--epochs", "1", "--out", tmp_path)
    assert (status, err) == (0, "warning: the loss is nan\n")
    assert RunFolder(tmp_path / "presets/digits-fcn-affine-seed0").finished


def test_the_paper_recipe_says_what_cannot_learn(call, tmp_path):
    literal = ("--cells", "digits-fcn-cwa", "--recipe", "paper", "--seeds", "1", "--epochs", "1")
    status, _, err = call("table1", *literal, "--out", tmp_path)
    assert status == 0
    assert re.match(r"warning: digits-fcn-cwa-paper seed 0: nothing reaches .*readout .*e_r = -0\.4", err)
    assert RunFolder(tmp_path / "paper/digits-fcn-cwa-paper-seed0").finished


def test_its_runs_are_launched_as_jobs(call, tmp_path, monkeypatch):
    """A job is a process that imports torch: some 5 seconds."""
    pytest.importorskip("submitit", reason="needs the extra cluster")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    command = [
        "table2",
        "--seeds",
        "1",
        "--epochs",
        "1",
        "--device",
        "cpu",
        "--cluster",
        "local",
        "--jobs",
        "1",
        "--out",
    ]
    status, said, _ = call(*command, tmp_path)
    assert status == 0
    assert "family made_of_glass not available" in said
    assert "1 of 1: digits-fcn-cwa seed 0, test accuracy" in said
    assert (tmp_path / "table2.md").exists()
    assert (tmp_path / "jobs/presets/digits-fcn-cwa-seed0.json").exists()
    _, said, _ = call(*command, tmp_path)
    assert "1 done, 0 to launch" in said


# As processes of their own ---------------------------------------------------------------------------------------

MANY = 40
LONG = f"table1 --seeds 1 --epochs {MANY} --device cpu --out".split()


@pytest.fixture
def start():
    """Start the command line with the tiny tables, as a process that does not outlive the test."""
    processes = []

    def run(*arguments):
        processes.append(_start(arguments))
        return processes[-1]

    yield run
    for process in processes:
        process.kill()
        process.communicate()


def _start(arguments):
    return subprocess.Popen(
        [sys.executable, tiny_tables.__file__, "reproduce", *map(str, arguments)],
        env={**os.environ, "COLUMNS": "80", "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def epochs_in(folder):
    file = folder / "metrics.jsonl"
    return len(file.read_text().splitlines()) if file.exists() else 0


def wait_for(process, condition):
    patience = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < patience
        time.sleep(0.005)


def learnt(folder):
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    weights = {name: tensor.tolist() for name, tensor in RunFolder(folder).read_weights().items()}
    return [(line["train_loss"], line["test_accuracy"]) for line in lines], weights


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_table_is_shared_stopped_killed_and_gone_on_with_to_the_same_end(call, start, tmp_path):
    """Two processes, and runs long enough to be stopped in the middle: some 10 seconds."""
    out, first = tmp_path / "out", tmp_path / "out/presets/digits-fcn-cwa-seed0"
    for number in (signal.SIGTERM, signal.SIGKILL):
        before, process = epochs_in(first), start(*LONG, out)
        wait_for(process, lambda before=before: epochs_in(first) > before)
        status, said, _ = call(*LONG, out, "--cells", "digits-fcn-cwa")
        assert status == 0
        assert "digits-fcn-cwa seed 0: another process is working on it" in said
        process.send_signal(number)
        said, complained = process.communicate(timeout=60)
        assert epochs_in(first) > before
        assert not RunFolder(first).finished
        if number == signal.SIGTERM:
            assert (process.returncode, complained) == (128 + number, "")
            assert shlex.split(said.rstrip().split("\n")[-1]) == ["conductance", "reproduce", *LONG, str(out)]
        else:
            assert process.returncode == -number
    status, said, complained = call(*LONG, out)
    assert (status, complained) == (0, "")
    assert re.search(rf"digits-fcn-cwa seed 0 \(presets\), run 1 of 2, \d+ of {MANY} epochs; about", said)
    assert epochs_in(first) == MANY
    train(RunFolder(first).read_config(), tmp_path / "uninterrupted", device="cpu")
    assert learnt(first) == learnt(tmp_path / "uninterrupted")
