"""The overview: at once, whole, and true."""

import subprocess
import sys
from pathlib import Path

import pytest

from conductance import cli
from conductance.cli import app
from conductance.cli.console import open_console

NOT_YET = {"torch", "numpy", "rich", "tyro"}


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["help"], []])
def test_neither_torch_nor_the_terminal_library_is_loaded_for_it(arguments):
    script = f"import sys; from conductance.cli import main; main({arguments}); print(*sys.modules, file=sys.stderr)"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout
    assert not NOT_YET & set(ran.stderr.split())


@pytest.mark.parametrize("name", ["evaluate", "report", "simulate", "bench", "demo", "reproduce", "status"])
def test_the_help_of_a_command_needs_no_torch(name):
    script = f"import sys, conductance.cli.{name} as command\ntry: command.run(['--help'])\nexcept SystemExit: pass\n"
    script += "print(*sys.modules, file=sys.stderr)"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert f"usage: conductance {name}" in ran.stdout
    assert "torch" not in ran.stderr.split()


def test_each_command_is_a_file_of_its_name():
    files = {file.stem for file in Path(app.__file__).parent.glob("*.py")}
    assert files - {"__init__", "app", "arguments", "console", "interruption", "launching"} == app.COMMANDS.keys()


def test_it_fits_a_terminal():
    assert max(map(len, app.overview().splitlines())) <= 80


def test_the_first_steps_are_commands():
    for step in app.FIRST_STEPS:
        program, name, *_ = step.split()
        assert program == "conductance"
        assert name in app.COMMANDS


def test_without_the_extras_a_command_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setattr(app, "import_module", _without_tyro)
    with pytest.raises(SystemExit) as end:
        cli.main(["models"])
    assert end.value.code == 2
    assert capsys.readouterr().err == (
        "error: the command line needs the package tyro: pip install 'conductance[train,report]'\n"
    )


def _without_tyro(_):
    raise ModuleNotFoundError("No module named 'tyro'", name="tyro")


@pytest.mark.parametrize("columns", ["", "1", "20", "nonsense"])
@pytest.mark.parametrize("terminal", ["dumb", "xterm"])
def test_a_pipe_has_no_width(columns, terminal, monkeypatch, capsys):
    for name, value in {"COLUMNS": columns, "FORCE_COLOR": "1", "TERM": terminal}.items():
        monkeypatch.setenv(name, value)
    words = " ".join(["word"] * 500)
    open_console().print(words)
    assert capsys.readouterr().out == f"{words}\n"
