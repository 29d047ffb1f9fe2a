"""The command line, as a person meets it."""

import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest

from conductance import __version__, cli
from conductance.cli.app import COMMANDS
from conductance.models import ARCHITECTURES, FAMILIES
from conductance.presets import PRESETS, get_preset
from conductance.runs import RunFolder
from conductance.runs.config import config_from_dict
from conductance.training import train

SMALL = [
    "--model.widths",
    "8",
    "8",
    "--epochs",
    "1",
    "--data.batch-size",
    "50",
    "--optimizer.learning-rate",
    "0.05",
    "--device",
    "cpu",
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a run made on the command line."""
    out = tmp_path_factory.mktemp("cli") / "run [1]"
    cli.main(["train", "digits-fcn-cwa", *SMALL, "--out", str(out)])
    return out


# What there is ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",), ("help",)])
def test_the_overview_names_every_command(arguments, call):
    status, out, err = call(*arguments)
    assert (status, err) == (0, "")
    assert "usage: conductance COMMAND [options]" in out
    for name in COMMANDS:
        assert re.search(rf"^  {name} +\w", out, re.MULTILINE)


def test_the_version(call):
    assert call("--version") == (0, f"conductance {__version__}\n", "")


HELP = {
    "train": "PRESET is one of",
    "evaluate": "--data-dir",
    "save": "--dtype",
    "export": "--internals",
    "check": "--images",
    "presets": "List the presets",
    "models": "List the network architectures",
    "report": "--out",
    "reproduce": "--recipe",
    "simulate": "--rate-max",
    "bench": "--rounds",
    "demo": "--device",
    "status": "--watch",
    "tune": "--trials",
    "live": "--output",
}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command, call):
    status, out, err = call(command, "--help")
    assert (status, err) == (0, "")
    assert f"usage: conductance {command}" in out
    assert HELP[command] in out


def test_train_without_a_preset_lists_them(call):
    status, out, _ = call("train")
    assert status == 2
    listed = out.replace("\n", " ")
    assert all(name in listed for name in PRESETS)


@pytest.mark.parametrize("name", ["digits-cnn-cwa", "cifar10-resnet18-affine_bn"])
def test_the_help_of_a_preset_shows_its_options_with_its_values(name, call, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")  # one column of options
    status, out, _ = call("train", name, "--help")
    text = " ".join(out.replace("│", " ").split())
    config = get_preset(name)
    values = {
        "--epochs": config.epochs,
        "--name": name,
        "--seed": 0,
        "--model.architecture": config.model.architecture,
        "--model.family": config.model.family,
        "--data.dataset": config.data.dataset,
        "--data.batch-size": config.data.batch_size,
        "--data.augmentation": config.data.augmentation,
        "--optimizer.learning-rate": config.optimizer.learning_rate,
        "--protocol.name": config.protocol.name,
    }
    assert status == 0
    for option, value in values.items():
        shown = re.search(rf"{re.escape(option)} .*?\(default: (.*?)\)", text)
        assert shown, option
        assert shown[1] == str(value)


def test_presets_lists_all(call):
    status, out, _ = call("presets")
    assert status == 0
    assert [line.split()[0] for line in out.splitlines()[1:]] == list(PRESETS)


def test_models_lists_architectures_and_families(call):
    status, out, _ = call("models")
    assert status == 0
    assert {line.split()[0] for line in out.splitlines() if line.split()} >= {*ARCHITECTURES, *FAMILIES}


# What they do ----------------------------------------------------------------------------------------------------


def test_train_trains_what_was_asked_for(trained):
    config = config_from_dict(json.loads((trained / "config.json").read_text()))
    assert config.name == "digits-fcn-cwa"
    assert config.model.widths == (8, 8)
    assert (config.epochs, config.data.batch_size, config.optimizer.learning_rate) == (1, 50, 0.05)
    assert config.conductance == get_preset("digits-fcn-cwa").conductance
    assert RunFolder(trained).finished


def test_the_recorded_command_reproduces_the_run(trained, call, tmp_path):
    summary = json.loads((trained / "summary.json").read_text())
    program, *arguments = shlex.split(summary["command"])
    assert program == "conductance"
    assert str(trained) not in arguments  # where a run lies is nobody else's business
    status, out, _ = call(*arguments, "--out", tmp_path / "again")
    assert status == 0
    assert f"test accuracy {summary['test_accuracy']:.2f} %" in out
    assert f"in {tmp_path / 'again'}\n" in out


def test_train_writes_to_a_folder_of_its_own_without_out(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert call("train", "digits-fcn-affine", "--seed", 4, *SMALL)[0] == 0
    assert RunFolder(tmp_path / "runs" / "digits-fcn-affine-seed4").finished


def test_evaluate_measures_the_same_accuracy_again(trained, call):
    accuracy = json.loads((trained / "summary.json").read_text())["test_accuracy"]
    status, out, _ = call("evaluate", trained)
    assert status == 0
    assert f"digits-fcn-cwa: test accuracy {accuracy:.2f} %" in out
    assert "500 images" in out


def test_report_makes_a_table_and_a_page(trained, call, tmp_path):
    status, out, _ = call("report", trained.parent, "--out", tmp_path / "report.html")
    assert status == 0
    assert "cwa" in out
    assert (tmp_path / "report.html").read_text().startswith("<!")


@pytest.mark.parametrize("mode", ["constant", "spiking"])
def test_simulate_draws_potentials_and_compares_with_the_network(trained, call, tmp_path, mode):
    options = ("--images", 40, "--duration", 600, "--step", 5, "--mode", mode, "--rate-max", 1e6)
    status, out, err = call("simulate", trained, *options, "--out", tmp_path / "drawn [1]")
    assert (status, err) == (0, "")
    assert re.search(r"hidden\.0 +8 +[\d.e-]+ mV", out)
    accuracy, network = re.search(r"accuracy ([\d.]+) %, the network itself ([\d.]+) %", " ".join(out.split())).groups()
    assert float(accuracy) == pytest.approx(float(network), abs=0.0 if mode == "constant" else 10.0)
    files = [tmp_path / "drawn [1]" / name for name in ("potentials.svg", "potentials.csv")]
    assert f"potentials: {files[0]} {files[1]}\n" in out
    assert all(file.stat().st_size > 0 for file in files)


# What goes wrong -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["trian"], "unknown command 'trian'; did you mean 'train'"),
        (["train", "digits-cnn-cw"], "unknown preset 'digits-cnn-cw'; did you mean 'digits-cnn-cwa'"),
        (["train", "digits-cnn-cwa", "--model.family", "[b]"], r"unknown layer family '\[b\]'"),
        (["train", "digits-cnn-cwa", "--device", "tpu"], "device='tpu': choose"),
        (["evaluate", "nowhere [/]"], r"there is no folder nowhere \[/\], and no network of this package"),
        (["evaluate", "mnist-cn"], "did you mean mnist-cnn?"),
        (["export", "digit-cnn", "--out", "d.onnx"], "did you mean digits-cnn?"),
        (["check", "nowhere"], "there is no folder nowhere"),
        (["report", "nowhere"], "nowhere"),
        (["simulate", "nowhere"], "nowhere holds no config.json"),
        (["simulate", "nowhere", "--seed", "-1"], "seed=-1: must lie in"),
        (["reproduce", "table1", "--cells", ","], "cells=',' names no cell"),
        (["report", "nowhere", "--out", "r.pdf"], "out=r.pdf: a report is written as"),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else "",
)
def test_a_mistake_is_one_line_and_status_2(arguments, complaint, call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, out, err = call(*arguments)
    assert (status, out) == (2, "")
    assert re.match(f"error: .*{complaint}", err)
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--data.batch-size", "0"], "data.batch_size=0"),
        (["--optimizer.learning-rate", "-1"], "optimizer.learning_rate=-1"),
        (["--epochs", "many"], "--epochs"),
        (["--protocol.name", "twocycle"], "twocycle"),
        (["--epoch", "3"], "--epoch"),
    ],
    ids=" ".join,
)
def test_a_mistaken_option_is_named_and_status_2(options, complaint, call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, out, err = call("train", "digits-cnn-cwa", *options)
    assert (status, out) == (2, "")
    assert complaint in err
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_a_finished_run_is_not_overwritten(trained, call):
    before = (trained / "summary.json").read_bytes()
    status, _, err = call("train", "digits-fcn-cwa", *SMALL, "--out", trained)
    assert status == 2
    assert err.startswith(f"error: {trained} already holds a run; add --resume")
    assert (trained / "summary.json").read_bytes() == before


def test_a_warning_is_one_line_without_its_place(call, tmp_path):
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        share = ("--conductance.excitatory-share", "1", "--conductance.no-balance")
        status, _, err = call("train", "digits-fcn-cwa", *SMALL, *share, "--out", tmp_path / "run")
    assert status == 0
    assert re.match(r"warning: all 8 presynaptic channels are excitatory", err)


# As a process of its own -----------------------------------------------------------------------------------------

PROGRAM = Path(sysconfig.get_path("scripts")) / "conductance"
EPOCHS = 24  # of 60 ms: enough that Ctrl-C comes before the last
RUN = f"train digits-cnn-cwa --model.widths 8 8 --epochs {EPOCHS} --data.batch-size 100 --device cpu".split()


def start(*arguments, folder):
    """Start the installed program in a folder; Ctrl-C works there even if it does not here."""
    return subprocess.Popen(
        [PROGRAM, *arguments],
        cwd=folder,
        env={**os.environ, "COLUMNS": "80"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def epochs_in(out):
    file = out / "metrics.jsonl"
    return len(file.read_text().splitlines()) if file.exists() else 0


def stop(process, out):
    """Press Ctrl-C once an epoch is finished; gives exit status, stdout and stderr."""
    patience = time.monotonic() + 60
    while epochs_in(out) == 0:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < patience
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """A run that Ctrl-C stopped: its working folder, its exit status, stdout and stderr."""
    folder = tmp_path_factory.mktemp("a long name for a folder, longer than a line of a terminal is wide")
    process = start(*RUN, "--out", "the run [1]", folder=folder)
    return folder, *stop(process, folder / "the run [1]")


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_ctrl_c_keeps_the_finished_epochs_and_says_how_to_go_on(stopped, tmp_path, monkeypatch):
    """A process, and runs long enough to be stopped in the middle: some 7 seconds."""
    folder, status, said, complained = stopped
    out = folder / "the run [1]"
    assert (status, complained) == (130, "")
    *_, advice = said.rstrip("\n").split("\n")
    program, *again = shlex.split(advice)
    assert (program, again) == ("conductance", [*RUN, "--out", "the run [1]", "--resume"])
    assert 1 <= epochs_in(out) <= len(RunFolder(out).read_checkpoint()["metrics"]) < EPOCHS

    # what is left goes on to the same end as a run that was never stopped
    monkeypatch.chdir(folder)
    cli.main(again)
    assert epochs_in(out) == EPOCHS
    assert not (out / "checkpoint.pt").exists()
    train(RunFolder(out).read_config(), tmp_path / "uninterrupted", device="cpu")
    assert learnt(out) == learnt(tmp_path / "uninterrupted")


def learnt(folder):
    metrics = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    weights = RunFolder(folder).read_weights()
    return [(line["train_loss"], line["test_accuracy"]) for line in metrics], {
        name: tensor.tolist() for name, tensor in weights.items()
    }


def test_the_installed_program_reports_a_mistake_without_a_traceback(tmp_path):
    process = start("train", "digits-cnn-cwax", folder=tmp_path)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (2, "")
    assert re.fullmatch(r"error: unknown preset 'digits-cnn-cwax'; did you mean .*\n", err)


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path):
    process = start("train", "digits-cnn-cwa", "--help", folder=tmp_path)
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait(timeout=60) == 1
    process.stderr.close()


def test_names_are_shown_as_they_are(call, tmp_path):
    status, out, err = call("train", "digits-fcn-cwa", *SMALL, "--name", "x[/] [red]y", "--out", tmp_path / "run")
    assert (status, err) == (0, "")
    assert "x[/] [red]y seed 0: test accuracy" in out
    assert call("evaluate", tmp_path / "run")[1].startswith("x[/] [red]y: test accuracy")


def test_names_are_whole_in_a_pipe(call, tmp_path):
    name, folder = "a-long-name-" * 12, tmp_path / "folder-" / ("b" * 90)
    assert call("train", "digits-fcn-affine", *SMALL, "--name", name, "--out", folder)[1].count(f"{folder}\n") == 1
    assert f"{name}: test accuracy" in call("evaluate", folder)[1]
    assert name in call("report", folder, "--out", tmp_path / "table.md")[1]
    assert all(f" {preset} " in call("presets")[1] for preset in list(PRESETS)[::9])
    assert " cifar10-resnet18-affine_bn seed 2 " in call("reproduce", "table1", "--plan", "--out", tmp_path / "no")[1]


def test_a_terminal_of_few_letters_shows_the_others_as_question_marks(trained, tmp_path, monkeypatch):
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", terminal)
    cli.main(["report", str(trained), "--out", str(tmp_path / "report.html")])
    assert b"?" in terminal.buffer.getvalue()
    assert (tmp_path / "report.html").exists()
