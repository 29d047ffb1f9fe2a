"""Commands killed at any moment: nothing is lost or half written, and the next one ends as if nothing had been."""

import random
import sys

import pytest

from children import Child, leftovers
from conductance.share import about
from tiny_runs import lines, weights

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")

TRAIN = ["train", "digits-fcn-cwa", "--epochs", "6", "--model.widths", "8", "--device", "cpu", "--out", "run"]
SEEDS = [pytest.param(seed, marks=[] if seed < 1 else pytest.mark.slow) for seed in range(12)]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    assert Child(TRAIN, folder).answer() == (0, "")
    return folder / "run"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_training_killed_again_and_again_is_the_uninterrupted_one(seed, uninterrupted, tmp_path):
    draws, kills = random.Random(seed), 0
    while kills < 4 and Child([*TRAIN, "--resume"], tmp_path).killed_after(draws.uniform(0.2, 2.0)):
        kills += 1
    assert Child([*TRAIN, "--resume"], tmp_path).answer() == (0, "")
    assert lines(tmp_path / "run") == lines(uninterrupted)
    assert weights(tmp_path / "run") == weights(uninterrupted)
    assert not leftovers(tmp_path / "run")


@pytest.mark.parametrize("seed", SEEDS)
def test_a_report_is_the_old_one_or_the_new_one(seed, uninterrupted, tmp_path):
    page, old = tmp_path / "report.html", "the report before"
    page.write_text(old)
    killed = Child(["report", uninterrupted], tmp_path).killed_after(random.Random(seed).uniform(0.1, 1.5))
    text = page.read_text()
    assert text == old if killed and text == old else text.rstrip().endswith("</html>")
    assert Child(["report", uninterrupted], tmp_path).answer() == (0, "")
    assert page.read_text().rstrip().endswith("</html>")


@pytest.mark.parametrize("seed", SEEDS)
def test_a_saved_network_is_there_as_a_whole_or_not_at_all(seed, uninterrupted, tmp_path):
    words = ["save", uninterrupted, "--out", "saved"]
    Child(words, tmp_path).killed_after(random.Random(seed).uniform(0.1, 1.5))
    if (tmp_path / "saved").exists():
        assert about(tmp_path / "saved").parameters > 0
    status, complaint = Child([*words, "--overwrite"], tmp_path).answer()
    assert (status, complaint) == (0, "")
    assert about(tmp_path / "saved").parameters > 0
