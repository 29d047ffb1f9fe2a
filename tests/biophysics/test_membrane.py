"""The membrane in time: against the differential equation solved otherwise, and by what a membrane must do."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from torch.autograd import gradcheck

from conductance.biophysics import in_parallel, integrate, relax, steady_state, time_constant
from conductance.errors import InputError

potentials = st.floats(-290, -140)  # further from 0 than cells are, lest one alone be taken for volts
conductances = st.floats(0.01, 100)
currents = st.floats(-5000, -500)
capacitances = st.floats(1, 500)
durations = st.floats(0, 200)


def number(x):
    return torch.tensor(x, dtype=torch.float64)


@given(potentials, conductances, currents, capacitances, durations)
def test_relax_is_the_closed_form(V, G, I, C, t):
    expected = I / G + (V - I / G) * math.exp(-t * G / C)
    assert relax(number(V), G, I, C, t).item() == pytest.approx(expected, rel=1e-11, abs=1e-8)


def test_relax_solves_the_membrane_equation():
    V0, C = -65.0, 150.0
    G, E = np.array([10.0, 6.0, 3.0]), np.array([-65.0, 0.0, -70.0])
    solved = solve_ivp(lambda _, V: [(G * (E - V[0])).sum() / C], (0, 30), [V0], rtol=1e-12, atol=1e-12, t_eval=[7, 30])
    V = relax(number(V0), *in_parallel(torch.from_numpy(G), E), C, number([7.0, 30.0]))
    np.testing.assert_allclose(V, solved.y[0], rtol=0, atol=1e-8)


@given(potentials, conductances, st.floats(-50000, -5000), capacitances, durations, durations)
def test_relaxing_twice_is_relaxing_for_the_sum(V, G, I, C, t, more):
    twice = relax(relax(number(V), G, I, C, t), G, I, C, more)
    torch.testing.assert_close(twice, relax(number(V), G, I, C, t + more), rtol=1e-10, atol=1e-7)


def test_ends_at_eq_1():
    p, G = torch.rand(4, 6, dtype=torch.float64), 10 * torch.rand(3, 6, dtype=torch.float64)
    E = number([0.0, 0.0, 0.0, -70.0, -70.0, -90.0])
    synapses = (p[:, None] * G, E)
    total, driving = in_parallel(*synapses)
    V = relax(-65.0, total + 2.0, driving + 2.0 * -65.0, 100.0, math.inf)
    expected = steady_state(p, G, E, resting_conductance=2.0, resting_potential=-65.0)
    torch.testing.assert_close(V, expected, rtol=1e-13, atol=0)


def test_the_time_constant_is_when_all_but_one_over_e_is_done():
    G, C = number([5.0, 20.0]), number([100.0, 300.0])
    V = relax(number(-65.0), G, G * -20.0, C, time_constant(G, C))
    torch.testing.assert_close(V, number(-20 - 45 / math.e).expand(2))
    assert time_constant(G, C).tolist() == [20, 15]


@given(potentials, conductances, potentials, capacitances, durations)
def test_goes_to_the_steady_state_without_overshoot(V, G, E, C, t):
    after = relax(number(V), G, G * E, C, t).item()
    assert min(V, E) - 1e-9 <= after <= max(V, E) + 1e-9


def changing(steps, duration, batch=()):
    """Total conductance and current that rise and fall smoothly, taken at the middle of each step."""
    t = (torch.arange(steps, dtype=torch.float64) + 0.5) * duration / steps
    t = t.view(-1, *(1,) * len(batch)) + torch.arange(math.prod(batch), dtype=torch.float64).view(batch)
    return in_parallel(
        torch.stack((10 + 0 * t, 8 * torch.sin(t / 5).square(), 5 * torch.cos(t / 7).square()), -1), [-65.0, 0.0, -70.0]
    )


def test_constant_conductances_are_integrated_exactly_at_any_step():
    G, I = torch.full((5, 2), 16.0).double(), torch.full((5, 2), -930.0).double()
    V = integrate(-65.0, G, I, 200.0, 30.0, accuracy=1e-9)
    torch.testing.assert_close(V[:, 0], relax(number(-65.0), 16.0, -930.0, 200.0, 30.0 * torch.arange(1, 6)))


def test_converges_to_the_solution_of_an_independent_solver():
    def derivative(t, V):
        G = np.array([10.0, 8 * np.sin(t / 5) ** 2, 5 * np.cos(t / 7) ** 2])
        return [(G * (np.array([-65.0, 0.0, -70.0]) - V[0])).sum() / 100]

    expected = solve_ivp(derivative, (0, 40), [-65.0], rtol=1e-11, atol=1e-11, max_step=0.5).y[0, -1]
    errors = [
        abs(integrate(-65.0, *changing(n, 40.0), 100.0, 40.0 / n, accuracy=math.inf)[-1].item() - expected)
        for n in (100, 200, 400)
    ]
    assert errors[-1] < 1e-3
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.1)  # of second order where each value is its step's middle
    assert errors[1] / errors[2] == pytest.approx(4, rel=0.1)


def test_cells_do_not_see_each_other():
    G, I = changing(50, 20.0, (3, 2))
    C = number([100.0, 200.0])
    V = integrate(torch.full((3, 1), -60.0), G, I, C, 0.4, accuracy=10)
    assert V.shape == (50, 3, 2)
    for cell in [(0, 0), (2, 1)]:
        alone = integrate(-60.0, G[:, *cell], I[:, *cell], C[cell[1]], 0.4, accuracy=10)
        torch.testing.assert_close(V[:, *cell], alone)


def test_a_step_too_large_for_the_accuracy_is_refused_and_the_one_advised_is_not():
    with pytest.raises(InputError, match=r"^time_step 2 ms is too large.* accuracy asks for 0.1 mV; sample") as refused:
        integrate(-65.0, *changing(20, 40.0), 100.0, 2.0)
    advised = float(str(refused.value).split("every ")[1].split(" ms")[0])
    assert 0.001 < advised < 2
    steps = math.ceil(40 / advised)
    integrate(-65.0, *changing(2 * steps, 40.0), 100.0, 20.0 / steps)


def test_what_the_check_lets_pass_is_as_accurate_as_asked_even_where_values_are_old():
    """Conductances taken at the start of each step lag by half of it: the check is made for this case too."""
    exact = integrate(-65.0, *changing(40_000, 40.0), 100.0, 0.001)[-1]
    for steps in (50, 100, 200, 400, 800):
        G, I = (quantity[:: 40_000 // steps] for quantity in changing(40_000, 40.0))
        for accuracy in (2.0, 1.0, 0.5, 0.25):
            try:
                V = integrate(-65.0, G, I, 100.0, 40 / steps, accuracy=accuracy)
            except InputError:
                continue
            assert abs(V[-1] - exact) < accuracy


def test_gradients():
    G, I = 1 + torch.rand(4, 2, dtype=torch.float64), torch.randn(4, 2, dtype=torch.float64)
    V, C = number([-60.0, -50.0]), number([3.0, 2.0])
    arguments = [each.requires_grad_() for each in (V, G, I, C)]
    assert gradcheck(lambda *each: integrate(*each, 0.5, accuracy=math.inf), arguments)
    t = number([0.5, 1.5]).requires_grad_()
    assert gradcheck(lambda V, G, I, C, t: relax(V, G[0], I[0], C, t), [*arguments, t])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_keeps_the_dtype(dtype):
    G = torch.ones(3, 2, dtype=dtype)
    assert integrate(-65.0, G, -65 * G, 100.0, 1.0).dtype == dtype
    assert relax(-65.0, G, -65 * G, 100.0, 1.0).dtype == dtype
    assert time_constant(G, 100.0).dtype == dtype


RELAX = {
    "potential": [-65.0, -60.0],
    "total_conductance": [10.0, 5.0],
    "driving_current": -600.0,
    "capacitance": 100.0,
    "duration": 5.0,
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"total_conductance": [10.0, -5.0]}, r"^total_conductance\[1\] is -5; .*at least 0 nS"),
        ({"total_conductance": [10.0, math.nan]}, r"^total_conductance\[1\] is nan; "),
        ({"total_conductance": [0.0, 5.0]}, r"^total_conductance\[0\] is 0; .*no steady state.*resting_conductance"),
        ({"capacitance": -100.0}, r"^capacitance is -100; .*above 0 pF"),
        ({"capacitance": [100.0, 0.0]}, r"^capacitance\[1\] is 0; "),
        ({"potential": [-0.065, -0.060]}, r"^potential .*volts.*millivolts"),
        ({"potential": [-65.0, math.inf]}, r"^potential\[1\] is inf; "),
        ({"driving_current": math.nan}, r"^driving_current is nan; "),
        ({"duration": -1.0}, r"^duration is -1; "),
        ({"duration": [1.0, 2.0, 3.0]}, r"^the shapes do not broadcast .*potential \(2,\), .*duration \(3,\)"),
    ],
)
def test_refuses_what_is_not_a_membrane(change, message):
    with pytest.raises(InputError, match=message):
        relax(**{name: torch.tensor(value) for name, value in (RELAX | change).items()})


INTEGRATE = {
    "potential": -65.0,
    "total_conductance": [[10.0, 5.0], [10.0, 5.0]],
    "driving_current": [[-650.0, -325.0], [-650.0, -325.0]],
    "capacitance": 100.0,
    "time_step": 0.1,
    "accuracy": 0.1,
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"total_conductance": [[10.0, 5.0], [10.0, -5.0]]}, r"^total_conductance\[1, 1\] is -5; "),
        ({"total_conductance": [[10.0, 5.0], [0.0, 5.0]]}, r"^total_conductance\[1, 0\] is 0; "),
        ({"total_conductance": [10.0, 5.0]}, r"^total_conductance has shape \(2,\) and driving_current \(2, 2\); "),
        ({"capacitance": 0.0}, r"^capacitance is 0; "),
        ({"capacitance": [1.0, 1.0, 1.0]}, r"^the shapes do not broadcast .*capacitance \(3,\)"),
        ({"time_step": 0.0}, r"^time_step is 0; "),
        ({"time_step": math.nan}, r"time_step=nan; give a number"),
        ({"accuracy": -1.0}, r"^accuracy is -1; "),
        ({"potential": 0.06}, r"^potential .*volts.*millivolts"),
    ],
)
def test_refuses_what_cannot_be_integrated(change, message):
    arguments = INTEGRATE | change
    scalars = {name: arguments.pop(name) for name in ("time_step", "accuracy")}
    with pytest.raises(InputError, match=message):
        integrate(**{name: torch.tensor(value) for name, value in arguments.items()}, **scalars)


@pytest.mark.parametrize(
    ("conductance", "reversal_potential", "message"),
    [
        ([1.0, -1.0], [0.0, -70.0], r"^conductance\[1\] is -1; "),
        ([1.0, 1.0], [0.0, -0.07], r"^reversal_potential .*volts.*millivolts"),
        ([1.0, 1.0], [0.0, math.nan], r"^reversal_potential\[1\] is nan; "),
    ],
)
def test_refuses_what_is_not_a_conductance_pathway(conductance, reversal_potential, message):
    with pytest.raises(InputError, match=message):
        in_parallel(torch.tensor(conductance), reversal_potential)


@pytest.mark.parametrize("steps", [3, 4, 5])
def test_a_change_in_the_last_step_is_judged_too_whatever_their_number(steps):
    G = torch.full((steps,), 10.0, dtype=torch.float64)
    G[-1] = 1000.0
    with pytest.raises(InputError, match="time_step 10 ms is too large"):
        integrate(-65.0, G, 0.0 * G, capacitance=200.0, time_step=10.0, accuracy=0.001)
