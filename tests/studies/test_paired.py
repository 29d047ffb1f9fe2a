"""Paired comparisons: packing loses nothing, intervals hold the difference, and verdicts are corrected."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from studies.shared.learning import percent
from studies.shared.lines import lines, table
from studies.shared.packing import packed, unpacked
from studies.shared.paired import Difference, difference, verdicts


def row(seed, right, **fields):
    return {"seed": str(seed), "test": str(percent(right)), "right": packed(right.numpy()), **fields}


@given(st.lists(st.booleans(), min_size=1, max_size=50))
def test_what_is_packed_comes_back(right):
    assert unpacked(packed(np.array(right))).tolist() == right


@given(st.integers(0, 1000), st.floats(-0.2, 0.2))
@settings(max_examples=20)
def test_a_difference_lies_in_its_interval_and_turns_with_its_sides(seed, shift):
    random = torch.Generator().manual_seed(seed)
    ours = [row(each, torch.rand(500, generator=random) < 0.7 + shift) for each in range(3)]
    others = [row(each, torch.rand(500, generator=random) < 0.7) for each in range(3)]
    found, turned = difference(ours, others), difference(others, ours)
    mean = np.mean([float(a["test"]) - float(b["test"]) for a, b in zip(ours, others, strict=True)])
    assert found.points == pytest.approx(mean, abs=0.02)
    assert found.low < found.points < found.high
    assert turned.points == pytest.approx(-found.points)
    assert found.seeds == 3


def test_only_seeds_that_both_have_are_compared():
    right = torch.ones(16, dtype=torch.bool)
    assert difference([row(0, right)], [row(1, right)]) is None
    assert difference([row(0, right), row(1, right)], [row(1, ~right)]).seeds == 1


def test_verdicts_allow_for_several_comparisons():
    def at(p, points=1.0):
        return Difference(points, points - 1, points + 1, p, 3)

    assert verdicts([at(0.03)]) == ["better"]
    assert verdicts([at(0.03), at(0.04)]) == ["undecided", "undecided"]
    assert verdicts([at(0.04), at(0.001, -1.0), at(0.9)]) == ["undecided", "worse", "undecided"]


def test_lines_compare_within_their_place():
    good, bad = torch.ones(64, dtype=torch.bool), torch.zeros(64, dtype=torch.bool)
    good[:2], bad[:4] = False, True
    rows = [
        row(seed, right, place=place, condition=name)
        for place in ("a", "b")
        for seed in (0, 1)
        for name, right in (("x", good), ("y", bad if place == "a" else good))
    ]
    found = lines(rows, ("place",), "condition", "x")
    assert [(line.place, line.condition, line.verdict) for line in found] == [
        (("a",), "x", None),
        (("a",), "y", "worse"),
        (("b",), "x", None),
        (("b",), "y", "undecided"),
    ]
    assert len(table(found, ("Place",), "Condition").splitlines()) == 2 + 4
