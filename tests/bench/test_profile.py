"""Where the time of one layer goes."""

import pytest
import torch

from conductance.bench.profile import PROFILE_COLUMNS, PROFILED, find_case, profile_layer
from conductance.errors import UnknownNameError
from conductance.kernels import averaging

CPU = torch.device("cpu")
NAME = "fcn 2000 -> 1000, batch 2"


def test_every_operation_is_counted_once():
    tables = profile_layer(find_case(NAME, CPU, {"fcn": 2}), CPU, repeats=2, most=3)
    assert tuple(tables) == PROFILED
    for rows in tables.values():
        assert all(len(row) == len(PROFILE_COLUMNS) for row in rows)
        assert [row[0] for row in rows[3:]] == ["all others"]
        assert sum(float(row[3].removesuffix("%")) for row in rows) == pytest.approx(100, abs=2.5)  # each is rounded
    products = [name for name, *_ in tables["CWA native"]]
    assert {"aten::mm", "aten::addmm"} & set(products)
    assert averaging._chosen is None


def test_a_layer_that_is_not_there_is_refused():
    with pytest.raises(UnknownNameError, match="did you mean 'fcn 2000 -> 1000, batch 2'"):
        find_case("fcn 2000 -> 1001, batch 2", CPU, {"fcn": 2})
