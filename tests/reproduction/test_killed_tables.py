"""A table of the paper killed at any moment: the next one ends with the runs of the uninterrupted one."""

import random
import sys

import pytest
from tiny_tables import install

from children import Child, leftovers
from tiny_runs import lines, weights

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")

TABLE = ["reproduce", "table1", "--seeds", "2", "--epochs", "3", "--device", "cpu", "--out", "out"]
RUNS = {f"out/presets/digits-fcn-{family}-seed{seed}" for family in ("cwa", "affine") for seed in (0, 1)}


def reproduce(folder):
    return Child(TABLE, folder, install)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    assert reproduce(folder).answer() == (0, "")
    return folder


def tables(folder):
    """The pages and tables beside the runs, by name."""
    return {path.name for path in (folder / "out").iterdir() if path.is_file()}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12))
def test_a_table_killed_again_and_again_is_the_uninterrupted_one(seed, uninterrupted, tmp_path):
    draws, kills = random.Random(seed), 0
    while kills < 4 and reproduce(tmp_path).killed_after(draws.uniform(0.2, 2.0)):
        kills += 1
    assert reproduce(tmp_path).answer() == (0, "")
    assert {path.parent.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("summary.json")} == RUNS
    for run in RUNS:
        assert lines(tmp_path / run) == lines(uninterrupted / run)
        assert weights(tmp_path / run) == weights(uninterrupted / run)
    assert tables(tmp_path) == tables(uninterrupted)
    assert not leftovers(tmp_path / "out")
