"""Which synapses each rule chooses."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from conductance.circuits import (
    Blocks,
    Dense,
    Exponential,
    Gaussian,
    InDegree,
    Mask,
    OneToOne,
    Sparse,
    WithinDistance,
    WithoutAutapses,
)
from conductance.circuits.places import Places, distances

GRIDS = st.integers(1, 3).flatmap(lambda axes: st.tuples(*(st.tuples(*[st.integers(1, 4)] * axes) for _ in range(2))))


def chosen(rule, source, target):
    return rule.choose(torch.ones(target.units, source.units, dtype=torch.bool), source, target)


@given(GRIDS, st.integers(1, 2), st.floats(0.1, 4), st.booleans())
def test_within_distance_is_what_a_loop_over_pairs_finds(grids, channels, radius, wrap):
    source, target = Places(grids[0], channels), Places(grids[1])
    found = chosen(WithinDistance(radius, wrap=wrap), source, target)
    for i, y in enumerate(target.positions().tolist()):
        for j, x in enumerate(source.positions().tolist()):
            square = 0.0
            for a in range(len(x)):
                apart = abs((y[a] + 0.5) * grids[0][a] / grids[1][a] - 0.5 - x[a])
                square += (min(apart, abs(grids[0][a] - apart)) if wrap else apart) ** 2
            if abs(square**0.5 - radius) > 1e-9:
                assert bool(found[i, j]) == (square**0.5 < radius)


@given(st.integers(1, 6), st.integers(6, 12))
def test_in_degree_counts_what_the_other_rules_allow(synapses, units):
    places = Places((units + 1,))
    for rule in (InDegree(synapses) & WithoutAutapses(), WithoutAutapses() & InDegree(synapses)):
        found = chosen(rule, places, places)
        assert (found.sum(1) == synapses).all()
        assert not found.diagonal().any()


@pytest.mark.parametrize(
    ("rule", "probability"),
    [
        (Sparse(0.3), lambda d: torch.full_like(d, 0.3)),
        (Gaussian(2.0, 0.8), lambda d: 0.8 * torch.exp(-(d**2) / 8)),
        (Exponential(3.0, 0.5), lambda d: 0.5 * torch.exp(-d / 3)),
        (Sparse(0.5) & Exponential(3.0), lambda d: 0.5 * torch.exp(-d / 3)),
    ],
)
def test_probabilities_are_kept(rule, probability):
    places = Places((5, 5), 4)
    draws = torch.stack([chosen(rule, places, places) for _ in range(40)]).double()
    d = distances(places, places)
    for low in range(4):
        at = (d >= low) & (d < low + 1)
        assert draws[:, at].mean() == pytest.approx(float(probability(d)[at].mean()), abs=0.03)


def test_blocks_connect_classes():
    shares = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    found = chosen(Blocks(shares, source=[1, 3]), Places((4,)), Places((6,)))
    assert torch.equal(found, shares.bool()[[0, 0, 1, 1, 2, 2]][:, [0, 1, 1, 1]])


def test_simple_rules():
    places = Places((3,))
    mask = torch.tensor([[1, 0, 0], [0, 0, 2], [1, 1, 0]])
    assert chosen(Dense(), places, places).all()
    assert torch.equal(chosen(OneToOne(), places, places), torch.eye(3).bool())
    assert torch.equal(chosen(Mask(mask), places, places), mask != 0)
    assert torch.equal(chosen(Mask(mask) & OneToOne(), places, places), torch.diag(torch.tensor([1, 0, 0])).bool())
