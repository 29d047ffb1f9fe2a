"""A disk that is full, or a folder that may not be written to, at each moment at which something is written."""

import errno
import sys

import pytest

from children import Child, FailingCall, SmallFiles
from tiny_runs import lines, weights

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")

TRAIN = ["train", "digits-fcn-cwa", "--epochs", "2", "--model.widths", "8", "--device", "cpu", "--out", "run"]
REASONS = [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EIO]


@pytest.fixture(scope="module")
def untroubled(tmp_path_factory):
    folder = tmp_path_factory.mktemp("untroubled")
    assert Child(TRAIN, folder).answer() == (0, "")
    return folder / "run"


def is_one_line(status, complaint):
    return status == 2 and complaint.startswith("error: ") and complaint.count("\n") == 1


@pytest.mark.parametrize("number", [pytest.param(n, marks=[] if n in (0, 5) else pytest.mark.slow) for n in range(20)])
def test_a_training_whose_nth_write_fails_says_so_and_can_go_on(number, untroubled, tmp_path):
    fault = FailingCall(tmp_path / "run", number, REASONS[number % len(REASONS)])
    status, complaint = Child(TRAIN, tmp_path, fault).answer()
    assert status == 0 or is_one_line(status, complaint), complaint[-600:]
    assert Child([*TRAIN, "--resume"], tmp_path).answer() == (0, "")
    assert (lines(tmp_path / "run"), weights(tmp_path / "run")) == (lines(untroubled), weights(untroubled))


@pytest.mark.parametrize("most", [3000, *(pytest.param(n, marks=pytest.mark.slow) for n in (0, 300, 9000))])
def test_a_training_on_a_full_disk_says_so_and_can_go_on(most, untroubled, tmp_path):
    status, complaint = Child(TRAIN, tmp_path, SmallFiles(most)).answer()
    assert most == 0 or is_one_line(status, complaint), complaint[-600:]
    assert status
    assert Child([*TRAIN, "--resume"], tmp_path).answer() == (0, "")
    assert weights(tmp_path / "run") == weights(untroubled)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize(
    "words", ["report RUN --out OUT/report.html", "save RUN --out OUT/saved", "export RUN --out OUT/table.csv"]
)
def test_what_cannot_be_written_is_one_line(words, number, untroubled, tmp_path):
    chosen = [word.replace("RUN", str(untroubled)).replace("OUT", str(tmp_path / "out")) for word in words.split()]
    status, complaint = Child(chosen, tmp_path, FailingCall(tmp_path / "out", number)).answer()
    assert status == 0 or (is_one_line(status, complaint) and "No space left" in complaint), complaint[-600:]
    assert status or number
    if status:
        assert not list((tmp_path / "out").glob("*")), "something half written is left"
        assert not list((tmp_path / "out").glob(".*"))
        assert Child(chosen, tmp_path).answer() == (0, "")
