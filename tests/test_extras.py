"""Packages that only an extra brings."""

import pytest

from conductance.errors import ConductanceError
from conductance.extras import import_extra


def test_a_missing_package_comes_with_its_remedy():
    with pytest.raises(
        ConductanceError, match=r"no_such_package is needed to dream .*pip install 'conductance\[report\]'"
    ):
        import_extra("no_such_package.part", "to dream", "report")


def test_one_that_is_there_is_imported():
    assert import_extra("json", "to read", "train").loads("[1]") == [1]
