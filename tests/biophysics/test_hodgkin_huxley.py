"""The squid axon: against its equations written out and solved by scipy, and by what it is known for."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from conductance.biophysics import SquidAxon, firing_rate
from conductance.biophysics.hodgkin_huxley import gate_rates
from conductance.errors import InputError


def held(current, duration, time_step):
    """A current in pA, or one for each axon, that is on all the time."""
    return torch.tensor(current, dtype=torch.float64).expand(round(duration / time_step), *np.shape(current))


def rates(V):
    """Hodgkin & Huxley's equations 12, 13, 20, 21, 23 and 24, their v = -(V + 65)."""
    v = -(V + 65)
    return [
        (0.1 * (v + 25) / (math.exp((v + 25) / 10) - 1), 4 * math.exp(v / 18)),
        (0.07 * math.exp(v / 20), 1 / (math.exp((v + 30) / 10) + 1)),
        (0.01 * (v + 10) / (math.exp((v + 10) / 10) - 1), 0.125 * math.exp(v / 80)),
    ]


def solved(density, duration, celsius=6.3):
    """V at the end by scipy, from the equations per cm2 (uA, uF, mS)."""
    speed = 3 ** ((celsius - 6.3) / 10)

    def derivative(_, state):
        V, m, h, n = state
        current = 120 * m**3 * h * (50 - V) + 36 * n**4 * (-77 - V) + 0.3 * (-54.3 - V) + density
        gates = zip((m, h, n), rates(V), strict=True)
        return [current, *(speed * (alpha * (1 - x) - beta * x) for x, (alpha, beta) in gates)]

    start = [-65.0, *(alpha / (alpha + beta) for alpha, beta in rates(-65.0))]
    return solve_ivp(derivative, (0, duration), start, method="LSODA", rtol=1e-10, atol=1e-10).y[0, -1]


@pytest.mark.parametrize(("celsius", "density"), [(6.3, 20.0), (16.3, 30.0)])
def test_converges_in_second_order_to_the_equations_written_out(celsius, density):
    expected, axon = solved(density, 4.0, celsius), SquidAxon(celsius=celsius)
    errors = []
    for time_step in (0.016, 0.008):
        V = axon.respond(held(10 * density, 4.0, time_step), time_step)[-1]
        errors.append(abs(V.item() - expected))
    assert errors[1] < 0.05
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.15)


def test_rates_are_those_of_1952_where_the_formula_is_0_over_0_too():
    for V in (-90.0, -65.0, -40 + 1e-3, -55 - 1e-3, 20.0):
        ours = [[rate.item() for rate in pair] for pair in gate_rates(torch.tensor(V, dtype=torch.float64))]
        np.testing.assert_allclose(ours, rates(V), rtol=1e-9)
    V = torch.tensor([-40.0, -55.0], dtype=torch.float64, requires_grad=True)
    (m, _), _, (n, _) = gate_rates(V)
    assert (m[0].item(), n[1].item()) == (1, 0.1)
    (slope,) = torch.autograd.grad(m[0] + n[1], V)
    assert slope.tolist() == pytest.approx([0.05, 0.005])


def test_rests_near_minus_65_millivolts():
    V = SquidAxon().respond(held(0.0, 30, 0.05), 0.05)
    assert (V + 65).abs().max() < 0.1


def test_all_or_none():
    """Twice the current hardly changes the spike; a fifth of it gives none."""
    V = SquidAxon().respond(held([20.0, 100.0, 200.0], 10, 0.025), 0.025)
    quiet, one, two = V.amax(0).tolist()
    assert quiet < -50
    assert 38 < one < two < one + 2 < 50  # below the sodium potential
    assert V.min() > -77  # above the potassium potential


def test_an_axon_does_not_see_its_neighbors_and_its_area_is_only_a_scale():
    currents = [0.0, 70.0, 150.0]
    together = SquidAxon().respond(held(currents, 10, 0.05), 0.05)
    for i, current in enumerate(currents):
        alone = SquidAxon(area=10.0).respond(held(current / 100, 10, 0.05), 0.05)
        torch.testing.assert_close(together[:, i], alone, rtol=0, atol=1e-8)


def test_fires_more_often_for_more_current_and_faster_in_the_warm():
    currents = [0.0, 80.0, 120.0, 200.0]
    cold = firing_rate(SquidAxon().respond(held(currents, 60, 0.05), 0.05), 0.05)
    warm = firing_rate(SquidAxon(celsius=16.3).respond(held(currents, 60, 0.015), 0.015), 0.015)
    assert cold[0] == 0
    assert (cold.diff() > 0).all()
    assert (warm[2:] > 1.5 * cold[2:]).all()


def test_gradients_with_respect_to_the_current():
    current = torch.tensor([[100.0, 20.0]] * 8, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda I: SquidAxon(area=100.0).respond(I, 0.05), current, atol=1e-6)


def test_the_firing_rate_is_one_over_the_interval():
    t = torch.arange(0, 500, 0.1, dtype=torch.float64)
    V = torch.stack([-torch.cos(2 * torch.pi * t / period) for period in (7.3, 40.0, 400.0)], -1)
    assert firing_rate(V, 0.1).tolist() == pytest.approx([1000 / 7.3, 25.0, 0.0], rel=1e-4)  # the last fires once


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"area": 0.0}, r"^area is 0 um2; "),
        ({"capacitance": -1.0}, r"^capacitance is -1 uF/cm2; "),
        ({"sodium_conductance": -0.12}, r"^sodium_conductance is -0.12 S/cm2; "),
        ({"leak_conductance": 0.0}, r"^leak_conductance is 0 S/cm2; "),
        (
            {"sodium_potential": 0.05, "potassium_potential": -0.077, "leak_potential": -0.0543},
            r"^every reversal potential .*volts.*millivolts",
        ),
    ],
)
def test_refuses_what_is_not_an_axon(change, message):
    with pytest.raises(InputError, match=message):
        SquidAxon(**change)


@pytest.mark.parametrize(
    ("current", "time_step", "change", "message"),
    [
        (held(10.0, 1, 0.1), 0.1, {}, r"^time_step is 0.1 ms; .*at most 0.05 ms"),
        (held(10.0, 1, 0.1), 0.0, {}, r"^time_step is 0 ms; "),
        (torch.tensor(10.0), 0.01, {}, r"^current has shape \(\); give \(time, \.\.\.\)"),
        (torch.tensor([10.0, math.nan]), 0.01, {}, r"^current\[1\] is nan; "),
        (held(10.0, 1, 0.1), 0.01, {"potential": -0.065}, r"^potential .*volts.*millivolts"),
    ],
)
def test_refuses_what_it_cannot_respond_to(current, time_step, change, message):
    with pytest.raises(InputError, match=message):
        SquidAxon().respond(current, time_step, **change)


def test_gates_are_faster_in_the_warm_and_need_a_smaller_step():
    with pytest.raises(InputError, match=r"at most 0.017 ms at this temperature"):
        SquidAxon(celsius=16.3).respond(held(10.0, 1, 0.05), 0.05)
