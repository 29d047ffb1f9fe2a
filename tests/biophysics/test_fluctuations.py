"""The shift of the mean potential under spikes: against the exact expectation and against single spike trains."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from conductance.biophysics import (
    conductance_quantum,
    fluctuation_shift,
    integrate,
    poisson_spikes,
    steady_state,
    synaptic_input,
)
from conductance.errors import InputError
from shot_noise_reference import expected_potential

E, TAU = [0.0, -70.0], [5.0, 10.0]
LEAK = {"resting_conductance": 10.0, "resting_potential": -65.0}


def shifts(p, G, C, R):
    """Exactly and to second order, of one excitatory and one inhibitory synapse."""
    p, G = torch.tensor(p, dtype=torch.float64), torch.tensor([G], dtype=torch.float64)
    V = steady_state(p, G, E, **LEAK).item()
    quanta = conductance_quantum(G[0], R, torch.tensor(TAU))
    exact = expected_potential((p * R / 1000).tolist(), quanta.tolist(), TAU, E, 10.0, -65.0, C)
    return exact - V, fluctuation_shift(p, G, E, **LEAK, capacitance=C, rate_max=R, time_constant=TAU).item()


@given(st.floats(0.1, 1), st.floats(0.1, 1), st.floats(1, 40), st.floats(40, 400))
def test_is_the_first_term_of_the_exact_expectation(p_e, p_i, G, C):
    exact, second = shifts([p_e, p_i], [G, G / 2], C, 20_000.0)
    quantum = 1000 * G / (20_000 * 5)
    assert second == pytest.approx(exact, rel=quantum / 5, abs=1e-5)


def test_what_is_left_out_falls_with_the_square_of_the_rate():
    errors = [abs(exact - second) for exact, second in (shifts([0.5, 0.5], [30.0, 10.0], 200.0, R) for R in (1e3, 2e3))]
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.1)


@given(st.integers(1, 50), st.floats(0.01, 1))
def test_many_equal_synapses_are_one_that_fires_as_often_as_all(K, p):
    def shift(K, G, R):
        return fluctuation_shift(
            torch.full((K,), p, dtype=torch.float64),
            torch.full((1, K), G, dtype=torch.float64),
            torch.zeros(K),
            **LEAK,
            capacitance=200.0,
            rate_max=R,
            time_constant=torch.full((K,), 5.0),
        ).item()

    assert shift(K, 2.0, 100.0) == pytest.approx(shift(1, 2.0 * K, 100.0 * K), rel=1e-9)


def layer():
    generator = torch.Generator().manual_seed(0)
    p = torch.rand(2, 12, generator=generator, dtype=torch.float64)
    G = torch.randn(3, 12, generator=generator, dtype=torch.float64).exp() * 4
    E = torch.tensor([0.0, -70.0, 0.0, -90.0] * 3, dtype=torch.float64)
    tau = torch.tensor([5.0, 10.0, 5.0, 50.0] * 3, dtype=torch.float64)
    return p, G, E, tau


def test_a_layer_of_unequal_synapses_under_single_spike_trains_is_shifted_so():
    p, G, E, tau = layer()
    C, R, step, membranes = torch.tensor([100.0, 200.0, 300.0], dtype=torch.float64), 100.0, 0.2, 80
    V = steady_state(p, G, E, **LEAK)
    mean = 10 + p @ G.T
    spikes = poisson_spikes(p.expand(membranes, 2, 12), R, 4000, step, generator=torch.Generator().manual_seed(1))
    total, driving, _ = synaptic_input(spikes, conductance_quantum(G, R, tau), E, tau, step)
    total, driving = total + 10, driving - 650
    simulated = integrate(V.expand(membranes, 2, 3), total, driving, C, step, accuracy=math.inf)
    # The same spikes through a constant conductance: its mean is that of eq. 1, its chance nearly the other's.
    constant = integrate(
        V.expand(membranes, 2, 3), mean.expand_as(total), driving - (total - mean) * V, C, step, accuracy=math.inf
    )
    difference = (simulated - constant)[1500:].mean(0)
    shift = fluctuation_shift(p, G, E, **LEAK, capacitance=C, rate_max=R, time_constant=tau)
    error = difference.std(0) / math.sqrt(membranes)
    assert shift.abs().min() > 3 * error.max()
    assert ((difference.mean(0) - shift).abs() < 4 * error + 0.1 * shift.abs()).all()


def test_one_sample_and_unit_as_among_others():
    p, G, E, tau = layer()
    given = {**LEAK, "rate_max": 100.0, "time_constant": tau}
    together = fluctuation_shift(p, G, E, capacitance=[100.0, 200.0, 300.0], **given)
    alone = fluctuation_shift(p[1], G[2:], E, capacitance=300.0, **given)
    torch.testing.assert_close(together[1, 2:], alone)


def test_gradients():
    p, G, E, tau = layer()
    given = {**LEAK, "capacitance": 100.0, "rate_max": 100.0, "time_constant": tau}
    arguments = [each.requires_grad_() for each in (p, G, E)]
    assert torch.autograd.gradcheck(lambda p, G, E: fluctuation_shift(p, G, E, **given), arguments)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"capacitance": 0.0}, r"^capacitance is 0; "),
        ({"rate_max": -100.0}, r"^rate_max is -100; "),
        ({"time_constant": [5.0, 0.0]}, r"^time_constant\[1\] is 0; "),
        ({"resting_conductance": -1.0}, r"^resting_conductance is -1; "),
        ({"resting_potential": -0.065}, r"^resting_potential .*volts"),
    ],
)
def test_refuses_what_is_not_a_membrane_under_spikes(change, message):
    given = {**LEAK, "capacitance": 100.0, "rate_max": 100.0, "time_constant": TAU} | change
    with pytest.raises(InputError, match=message):
        fluctuation_shift(torch.tensor([0.5, 0.5]), torch.tensor([[1.0, 1.0]]), E, **given)
