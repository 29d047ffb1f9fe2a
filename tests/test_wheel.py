"""The package as `pip install` brings it: whole, nothing else inside, and at work in an empty folder."""

import os
import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

from conductance import __version__

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src"

COMMANDS = """
import os, sys
from dataclasses import replace
import conductance
from conductance.cli import demo, main

given = sys.argv[1]
small = "--model.widths 4 4 --epochs 1 --data.batch-size 200 --device cpu".split()
[first, *_] = demo.demo_runs()
demo.demo_runs = lambda: [replace(first, epochs=1, model=replace(first.model, widths=(4, 4)))]

main([])
main(["demo", "--out", f"{given}/demo", "--device", "cpu"])
main(["train", "digits-cnn-cwa", *small, "--out", f"{given}/runs/cnn"])
main(["evaluate", f"{given}/runs/cnn"])
main(["report", f"{given}/runs", "--out", f"{given}/report.html"])
main(["simulate", f"{given}/runs/cnn", "--images", "2", "--duration", "5", "--out", f"{given}/potentials"])
main(["reproduce", "table1", "--plan", "--out", f"{given}/reproduction"])
main(["presets"])
main(["models"])
main(["save", f"{given}/runs/cnn", "--out", f"{given}/saved"])
main(["evaluate", f"{given}/saved"])
main(["evaluate", "digits-cnn"])
main(["live", "--output", f"{given}/live"])
assert conductance.load("mnist-cnn").classes == tuple("0123456789")
print(conductance.__file__)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "--wheel-dir",
        str(folder),
        str(ROOT),
    ]
    subprocess.run([sys.executable, "-m", "pip", *build], check=True, capture_output=True)
    [file] = folder.iterdir()
    return file


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A folder with the installed package and nothing else."""
    folder = tmp_path_factory.mktemp("installed")
    options = ["--quiet", "--no-deps", "--no-index", "--no-compile", "--target", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, str(wheel)], check=True, capture_output=True)
    return folder


def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.startswith(f"conductance-{__version__}.dist-info/")}
    source = {str(file.relative_to(SOURCE)) for file in SOURCE.rglob("*") if file.is_file()}
    assert names == {name for name in source if "__pycache__" not in name}
    assert {name.split("/")[0] for name in names} == {"conductance"}
    assert {
        "conductance/py.typed",
        "conductance/report/template/report.html",
        "conductance/live/page/index.html",
    } <= names


def test_its_description_is_that_of_the_checkout(wheel):
    with zipfile.ZipFile(wheel) as archive:
        metadata = Parser().parsestr(archive.read(f"conductance-{__version__}.dist-info/METADATA").decode())
        scripts = archive.read(f"conductance-{__version__}.dist-info/entry_points.txt").decode()
    assert metadata["Version"] == __version__
    assert metadata["License-Expression"] == "MIT"
    assert metadata.get_payload().strip() == (ROOT / "README.md").read_text().strip()
    assert scripts == "[console_scripts]\nconductance = conductance.cli:main\n"


def test_the_program_runs(installed, tmp_path):
    ran = run([str(installed / "bin" / "conductance"), "--version"], installed, tmp_path)
    assert ran.stdout == f"conductance {__version__}\n"


def test_every_command_works_in_an_empty_folder_and_writes_where_it_is_told(installed, tmp_path):
    before = contents(installed)
    ran = run(["-c", COMMANDS, str(tmp_path / "given")], installed, tmp_path)
    assert ran.stdout.splitlines()[-1] == str(installed / "conductance" / "__init__.py")
    for sentence in ("First steps", "test accuracy", "report: ", "potentials: ", "cifar10-cnn-cwa", "resnet18"):
        assert sentence in ran.stdout
    given = {str(file.relative_to(tmp_path / "given")) for file in (tmp_path / "given").rglob("*") if file.is_file()}
    assert {
        "demo/report.html",
        "report.html",
        "runs/cnn/summary.json",
        "saved/README.md",
        "potentials/potentials.svg",
    } <= given
    assert list((tmp_path / "here").iterdir()) == list((tmp_path / "home").iterdir()) == []
    assert contents(installed) == before


def run(words, installed, folder):
    """Run Python in an empty folder, with an empty home, where the installed package comes before any other."""
    for name in ("here", "home", "matplotlib"):
        (folder / name).mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("CONDUCTANCE", "XDG"))}
    environment |= {
        "HOME": str(folder / "home"),
        "MPLCONFIGDIR": str(folder / "matplotlib"),
        "OMP_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": str(installed),
    }
    ran = subprocess.run(
        [sys.executable, *words], cwd=folder / "here", env=environment, capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran


def contents(folder):
    return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
