"""Every option of every command that takes a number, given numbers that make no sense."""

import dataclasses
from importlib import import_module
from pathlib import Path
from types import UnionType
from typing import Annotated, Literal, Union, get_args, get_origin, get_type_hints
from unittest.mock import Mock

import pytest

from conductance import cli
from conductance.cli import app
from conductance.training import Trainer

ODD = {
    "zero": "0",
    "negative": "-1",
    "NaN": "nan",
    "infinite": "inf",
    "1e30": "1e30",
    "more than 64 bits": str(2**70),
    "5,000 digits": "9" * 5000,
}
NEVER = {int: {"more than 64 bits", "5,000 digits", "NaN", "infinite"}, float: {"NaN", "infinite"}}
"""What no option of a kind accepts."""

HARMLESS = {"--images": "there are no more than there are"}

COMMANDS = {
    "train": ("train", "TrainArguments", "train digits-fcn-cwa --device cpu --out out --model.widths 4"),
    "train cnn": ("train", "TrainArguments", "train digits-cnn-cwa_li --device cpu --out out --model.widths 4"),
    "reproduce": ("reproduce", "ReproduceArguments", "reproduce table1 --plan --out out"),
    "tune": ("tune", "TuneArguments", "tune digits-fcn-cwa --device cpu --out out --model.widths 4 --epochs 1"),
    "simulate": ("simulate", "SimulateArguments", "simulate RUN --out out --duration 3 --images 2"),
    "check": ("check", "CheckArguments", "check RUN --images 2"),
    "export": ("export", "ExportArguments", "export RUN --out network.npz --images 2"),
    "bench": ("bench", "BenchArguments", "bench layers"),
    "live": ("live", "LiveArguments", "live RUN --output page"),
}
"""By name: the module, its dataclass, and words to which one more option is added."""


def numeric_options(kind, prefix="--"):
    """Name and type of each option of a command's dataclass that takes numbers."""
    for name, hint in get_type_hints(kind).items():
        words = prefix + name.replace("_", "-")
        parts = flat(hint)
        if dataclasses.is_dataclass(hint):
            yield from numeric_options(hint, "--" if name in ("run", "launch") else f"{words}.")
        elif int in parts or float in parts:
            yield words, float if float in parts else int


def flat(hint):
    if get_origin(hint) is Literal:
        return set()
    if get_origin(hint) in (Union, UnionType, Annotated, tuple):
        return set().union(*map(flat, get_args(hint)))
    return {hint}


OTHERS = {"train cnn": ("--model", "--conductance"), "tune": ("--trials", "--jobs")}
"""The options of a command that are not tried with an earlier one."""


def cases():
    for command, (module, name, _) in COMMANDS.items():
        for option, kind in numeric_options(getattr(import_module(f"conductance.cli.{module}"), name)):
            if option.startswith(OTHERS.get(command, "--")):
                yield command, option, kind


class BegunError(Exception):
    """A training that would have begun."""


def test_every_command_that_takes_numbers_is_among_them():
    kinds = {module: name for module, name, _ in COMMANDS.values()}
    for command in app.COMMANDS:
        module = import_module(f"conductance.cli.{command}")
        for name, kind in vars(module).items():
            if dataclasses.is_dataclass(kind) and kind.__module__ == module.__name__ and list(numeric_options(kind)):
                assert kinds.get(command) == name


@pytest.fixture
def answer(monkeypatch, tmp_path, capsys, finished):
    """Exit status and complaint of a command, which trains nothing."""

    begin = Mock(side_effect=BegunError)

    def run(words):
        try:
            cli.main([str(finished / "cwa") if word == "RUN" else word for word in words])
        except BegunError:
            return 0, ""
        except SystemExit as end:
            return end.code, capsys.readouterr().err
        return 0, ""

    monkeypatch.setattr(Trainer, "fit", begin)
    monkeypatch.setattr("conductance.bench.measure", begin)
    monkeypatch.chdir(tmp_path)
    return run


@pytest.mark.filterwarnings("ignore:all .* presynaptic channels")
@pytest.mark.parametrize(("command", "option", "kind"), list(cases()))
def test_a_number_that_makes_no_sense_is_one_line_and_never_endless_work(command, option, kind, answer):
    base = COMMANDS[command][2].split()
    for name, value in ODD.items():
        status, complaint = answer([*base, f"{option}={value}"])
        where = f"{option}, {name}: {complaint[:300]}"
        assert status in (0, 2), where
        assert complaint.count("\n") == (status == 2), where
        assert len(complaint) < 1000, where
        assert status == 2 or name not in NEVER[kind] or option in HARMLESS, where
        assert not list(Path().glob("out/*.safetensors"))
