"""The lock files hold what the package asks for, in the versions of constraints.txt. `make lock` writes them."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
LOCKS = {"demo": ("train", "report"), "test": tuple(EXTRAS)}


def locked(name):
    """The pins of a lock file, each with its hashes."""
    entries = re.split(r"\n(?=\S)", (ROOT / f"requirements/{name}.txt").read_text().strip())
    pins = {}
    for entry in entries:
        if not entry.startswith("#"):
            requirement, *hashes = re.split(r"\s*\\\n\s*--hash=", entry)
            pin = Requirement(requirement)
            pins[canonicalize_name(pin.name)] = (pin, hashes)
    return pins


def constraints():
    lines = (ROOT / "constraints.txt").read_text().split()
    return {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}


@pytest.mark.parametrize("name", LOCKS)
def test_every_file_is_known_by_its_hash(name):
    pins = locked(name)
    assert len(pins) > 40
    for pin, hashes in pins.values():
        assert re.fullmatch(r"==[\w.]+", str(pin.specifier))
        assert hashes
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", each) for each in hashes)


@pytest.mark.parametrize("name", LOCKS)
def test_the_versions_are_those_of_the_constraints(name):
    versions = constraints()
    of_other_systems = {"appnope", "cffi", "colorama", "httpx2-jsfetch", "pycparser"}
    for package, (pin, _) in locked(name).items():
        if package not in of_other_systems:
            assert str(pin.specifier) == f"=={versions[package]}", package


@pytest.mark.parametrize("name", LOCKS)
def test_what_the_package_asks_for_is_locked_but_torch(name):
    pins = locked(name)
    assert "torch" not in pins
    wanted = [*PROJECT["dependencies"], *(each for extra in LOCKS[name] for each in EXTRAS[extra])]
    for requirement in map(Requirement, wanted):
        package = canonicalize_name(requirement.name)
        assert package == "torch" or package in pins, f"{package} is not locked: run `make lock`"
        version = constraints()[package]
        assert requirement.specifier.contains(version), f"{requirement} excludes the {version} of constraints.txt"


def test_the_makefile_installs_every_extra():
    [extras] = re.findall(r"--editable '\.\[(\S*dev\S*)\]'", (ROOT / "Makefile").read_text())
    assert set(extras.split(",")) == EXTRAS.keys()
