"""Files of runs and of saved networks, changed at random: every command works, or says one line. Never a traceback."""

import pytest

from mutations import one, originals

FIRST, COUNT = 0, 60


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return originals(tmp_path_factory.mktemp("originals"))


@pytest.mark.parametrize("first", range(FIRST, FIRST + COUNT, 10))
def test_a_changed_file_is_read_or_refused_in_one_line(first, folders, tmp_path):
    for seed in range(first, first + 10):
        told, fault = one(seed, folders, tmp_path)
        assert fault is None, f"python tests/mutations.py --seed {seed} --count 1: {told}: {fault}"
