"""Millivolts and valences: an affine map that commutes with the average."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from conductance.biophysics import PotentialRange, rectified_gate, steady_state
from conductance.errors import InputError

ranges = st.builds(
    lambda low, width: PotentialRange(low, low + width),
    st.floats(-100, -40),
    st.floats(10, 150),
)


@given(ranges, st.floats(-1, 1))
def test_valence_to_millivolts_and_back(potentials, e):
    assert potentials.to_valence(potentials.to_millivolts(e)) == pytest.approx(e, abs=1e-13)


@given(ranges, st.floats(-120, 80))
def test_millivolts_to_valence_and_back(potentials, E):
    assert potentials.to_millivolts(potentials.to_valence(E)) == pytest.approx(E, rel=1e-13, abs=1e-12)


@given(ranges)
def test_the_ends_are_exactly_minus_one_and_one(potentials):
    assert potentials.to_valence(potentials.minimum) == -1
    assert potentials.to_valence(potentials.maximum) == 1
    assert potentials.to_millivolts(-1.0) == potentials.minimum
    assert potentials.to_millivolts(1.0) == potentials.maximum


@given(ranges, st.floats(-1, 1))
def test_valence_is_counted_in_half_widths_from_the_midpoint(potentials, e):
    expected = potentials.midpoint + e * potentials.half_width
    assert potentials.to_millivolts(e) == pytest.approx(expected, abs=1e-11)


def test_by_default_gaba_a_is_minus_one_and_ampa_plus_one():
    assert PotentialRange().to_valence(torch.tensor([-100.0, -50.0, 0.0])).tolist() == [-1, 0, 1]


@given(ranges, st.integers(0, 2**31))
def test_rescaling_the_average_is_averaging_the_rescaled_with_the_same_conductances(potentials, seed):
    generator = torch.Generator().manual_seed(seed)

    def rand(*shape):
        return torch.rand(*shape, generator=generator, dtype=torch.float64)

    p, G, G_r = rand(3, 5), 10 * rand(2, 5), 0.1 + rand(2)
    e, e_r = 2 * rand(5) - 1, 2 * rand(2) - 1
    e[0] = -1  # at -40 mV or below: not volts
    e_r[:] = e_r.clamp(max=-0.9)
    V = steady_state(
        p, G, potentials.to_millivolts(e), resting_conductance=G_r, resting_potential=potentials.to_millivolts(e_r)
    )
    numerator, denominator = G_r * e_r + (p[:, None] * G * e).sum(-1), G_r + (p[:, None] * G).sum(-1)
    torch.testing.assert_close(potentials.to_valence(V), numerator / denominator, rtol=0, atol=1e-12)


@given(ranges, st.floats(-1, 1))
def test_eq_4_is_the_rectified_gate_about_the_midpoint(potentials, z):
    V = potentials.to_millivolts(torch.tensor(z, dtype=torch.float64))
    p = rectified_gate(V, threshold=potentials.midpoint, slope_factor=potentials.half_width)
    assert p.item() == pytest.approx(max(z, 0), abs=1e-13)


@pytest.mark.parametrize(("minimum", "maximum"), [(0.0, -70.0), (-70.0, -70.0), (-70.0, math.inf), (-math.inf, 0.0)])
def test_refuses_an_empty_or_unbounded_range(minimum, maximum):
    with pytest.raises(InputError, match=r"potential range .* give a finite maximum above the minimum"):
        PotentialRange(minimum, maximum)


def test_refuses_a_range_in_volts():
    with pytest.raises(InputError, match=r"potential range .*volts.*millivolts"):
        PotentialRange(-0.07, 0.0)
