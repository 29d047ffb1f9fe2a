"""The picture of the house in CONTRIBUTING.md: every room is in it, and imports only what stands below."""

import ast
import re
from pathlib import Path

import pytest

from longest import LONGEST_FIRST

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src/conductance"
OF_ALL = {"__init__", "__main__", "experiments"}  # what the package gives away, its command line, and old names


def house():
    """The rooms of the picture, from the top to the ground."""
    [picture] = re.findall(r"```\nsrc/conductance/\n(.*?)\n\n", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL)
    names = (line.strip().split("  ")[0] for line in picture.splitlines())
    return [name.removesuffix("/").removesuffix(".py") for line in names for name in line.split() if name != "..."]


def room_of(file):
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


ROOMS = sorted({room_of(file) for file in PACKAGE.rglob("*.py")} - OF_ALL)


def imported(file):
    """The rooms that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[1] for alias in node.names if alias.name.startswith("conductance."))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "conductance":
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            yield from (name.split(".")[1] for name in names if "." in name)


def test_the_picture_shows_every_package():
    assert len(set(house())) == len(house())
    assert {room for room in ROOMS if (PACKAGE / room).is_dir()} <= set(house()) <= set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_what_stands_below(room):
    """Modules that are not in the picture stand on the ground, below all that are."""
    ground = set(ROOMS) - set(house())
    below = ground if room in ground else {*house()[house().index(room) + 1 :], *ground}
    for file in PACKAGE.rglob("*.py"):
        if room_of(file) == room:
            others = set(imported(file)) & set(ROOMS) - {room}
            assert others <= below, f"{file.relative_to(PACKAGE)} imports what does not stand below it"


def test_the_package_imports_no_study():
    assert not [
        file for file in PACKAGE.rglob("*.py") if re.search(r"^\s*(import|from) studies", file.read_text(), re.M)
    ]


def test_every_file_of_tests_has_a_name_of_its_own():
    """pytest imports them by their names alone."""
    names = [file.stem for file in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))


def test_the_longest_files_of_tests_are_there():
    assert [name for name in LONGEST_FIRST if not (ROOT / "tests" / name).exists()] == []
