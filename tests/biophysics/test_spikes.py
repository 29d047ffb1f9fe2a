"""Spike trains and synapses: the mean conductance is G p, at any time step and for any time constant."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from conductance.biophysics import conductance_quantum, exponential_synapse, poisson_spikes, synaptic_input
from conductance.errors import InputError

steps = st.floats(0.01, 20)
time_constants = st.floats(0.5, 50)
rates = st.floats(1, 500)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def number(x):
    return torch.tensor(x, dtype=torch.float64)


@given(st.floats(0, 1), st.floats(0, 50), rates, time_constants, st.floats(0.05, 20))
def test_a_spike_is_worth_the_same_at_any_step_so_that_the_mean_is_g_p(p, G, rate, tau, ratio):
    """Every spike has the same area; the long-run mean is this times the rate of spikes."""
    dt = tau * ratio
    spikes = torch.zeros(1 + math.ceil(25 / ratio), dtype=torch.float64)
    spikes[0] = 1
    conductance, _ = exponential_synapse(conductance_quantum(number(G), rate, tau) * spikes, tau, dt)
    area = conductance.sum().item() * dt
    assert area * p * rate / 1000 == pytest.approx(G * p, rel=1e-9)


@given(st.floats(0, 1), st.floats(0, 50), rates, time_constants, steps)
def test_the_expected_conductance_is_g_p(p, G, rate, tau, dt):
    """The filter is linear, so the mean spikes of Poisson trains give the mean conductance: after a while, G p."""
    expected_spikes = number(p * rate * dt / 1000).expand(4)
    q = conductance_quantum(number(G), rate, tau)
    settled = p * rate / 1000 * q * dt / math.expm1(dt / tau)  # left over at the start of a step
    conductance, end = exponential_synapse(q * expected_spikes, tau, dt, start=settled)
    torch.testing.assert_close(conductance, number(G * p).expand(4), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(end, settled, rtol=1e-9, atol=1e-12)


@given(time_constants, steps)
def test_the_conductance_decays_as_an_exponential_between_spikes(tau, dt):
    jump = torch.zeros(4, dtype=torch.float64)
    jump[0] = 3.0
    conductance, end = exponential_synapse(jump, tau, dt)
    for k in range(4):
        mean = 3.0 * tau / dt * (math.exp(-k * dt / tau) - math.exp(-(k + 1) * dt / tau))
        assert conductance[k].item() == pytest.approx(mean, rel=1e-9, abs=1e-300)
    assert end.item() == pytest.approx(3.0 * math.exp(-4 * dt / tau), rel=1e-9, abs=1e-300)


def test_poisson_trains_open_g_p_in_the_mean():
    p, G, rate, tau, dt = number([0.0, 0.2, 1.0]), number([[3.0, 2.0, 5.0]]), 100.0, number([5.0, 5.0, 10.0]), 0.5
    spikes = poisson_spikes(p, rate, 100_000, dt, generator=seeded())
    total, driving, _ = synaptic_input(spikes, conductance_quantum(G, rate, tau), number([0.0, 0.0, -70.0]), tau, dt)
    # 5,000 expected spikes of the loudest: 1.4 % is one standard deviation of its mean.
    assert total.mean().item() == pytest.approx(0.4 + 5.0, rel=0.05)
    assert driving.mean().item() == pytest.approx(-350.0, rel=0.05)
    assert (spikes[:, 0] == 0).all()


def test_the_spikes_of_a_step_are_poisson():
    counts = poisson_spikes(torch.full((400,), 0.5), 200.0, 500, 10.0, generator=seeded())
    assert counts.mean().item() == pytest.approx(1.0, abs=0.01)
    assert counts.var().item() == pytest.approx(1.0, abs=0.02)
    both = counts - counts.mean(0)
    assert (both[1:] * both[:-1]).mean().abs() < 0.01  # steps are independent
    assert (both[:, 1:] * both[:, :-1]).mean().abs() < 0.01  # neurons too


def test_a_seed_gives_the_same_train_and_a_next_call_goes_on_with_it():
    p, one, other = torch.rand(5), seeded(3), seeded(3)
    train = poisson_spikes(p, 100.0, 60, 1.0, generator=one)
    assert torch.equal(train, poisson_spikes(p, 100.0, 60, 1.0, generator=other))
    assert not torch.equal(train, poisson_spikes(p, 100.0, 60, 1.0, generator=other))


def layer_of_synapses(steps=40):
    spikes = torch.poisson(torch.full((steps, 3, 5), 0.2, dtype=torch.float64), generator=seeded())
    q = torch.rand(2, 5, dtype=torch.float64)
    E, tau = number([0.0, -70.0, 0.0, -90.0, -70.0]), number([5.0, 10.0, 5.0, 10.0, 3.0])
    return spikes, q, E, tau


def test_pooling_by_time_constant_is_one_filter_for_each_synapse():
    spikes, q, E, tau = layer_of_synapses()
    total, driving, _ = synaptic_input(spikes, q, E, tau, 0.5)
    each, _ = exponential_synapse(spikes[..., None, :] * q, tau, 0.5)
    torch.testing.assert_close(total, each.sum(-1))
    torch.testing.assert_close(driving, (each * E).sum(-1))


def test_pieces_are_the_whole():
    spikes, q, E, tau = layer_of_synapses()
    total, driving, end = synaptic_input(spikes, q, E, tau, 0.5)
    first, first_driving, between = synaptic_input(spikes[:13], q, E, tau, 0.5)
    second, second_driving, last = synaptic_input(spikes[13:], q, E, tau, 0.5, start=between)
    torch.testing.assert_close(torch.cat((first, second)), total)
    torch.testing.assert_close(torch.cat((first_driving, second_driving)), driving)
    torch.testing.assert_close(last, end)


def test_gradients_reach_the_conductances():
    spikes, q, E, tau = layer_of_synapses(6)
    assert torch.autograd.gradcheck(lambda q: synaptic_input(spikes, q, E, tau, 0.5)[:2], q.requires_grad_())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((torch.tensor([0.5, 1.5]), 100.0, 10, 0.1), r"^open_probability\[1\] is 1.5; .*\[0, 1\]"),
        ((torch.tensor([0.5]), 0.0, 10, 0.1), r"^rate_max is 0; give spikes per second"),
        ((torch.tensor([0.5]), math.nan, 10, 0.1), r"^rate_max is nan; "),
        ((torch.tensor([0.5]), 100.0, 0, 0.1), r"^0 steps of 0.1 ms; "),
        ((torch.tensor([0.5]), 100.0, 10, -0.1), r"^10 steps of -0.1 ms; "),
        ((torch.tensor([0.5]), 1e22, 10, 0.1), r"^rate_max=1e\+22 spikes/s with steps of 0.1 ms: more than 1e\+15 "),
    ],
)
def test_refuses_what_is_not_a_spike_train(arguments, message):
    with pytest.raises(InputError, match=message):
        poisson_spikes(*arguments, generator=seeded())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1.0, 100.0, 5.0), r"^conductance is -1; .*at least 0 nS"),
        ((1.0, -100.0, 5.0), r"^rate_max is -100; "),
        ((1.0, 100.0, torch.tensor([5.0, 0.0])), r"^time_constant\[1\] is 0; give the synapse's decay"),
    ],
)
def test_refuses_what_has_no_quantum(arguments, message):
    with pytest.raises(InputError, match=message):
        conductance_quantum(*arguments)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({0: -torch.ones(4, 3, 5)}, r"^spikes\[0, 0, 0\] is -1; "),
        ({0: torch.ones(4, 3, 4)}, r"^quantum has shape \(2, 5\), spikes \(4, 3, 4\)"),
        ({1: -torch.ones(2, 5)}, r"^quantum\[0, 0\] is -1; "),
        ({2: [0.0, 0.0, 0.0, -0.07, -0.07]}, r"^reversal_potential .*volts.*millivolts"),
        ({3: torch.zeros(5)}, r"^time_constant\[0\] is 0; "),
        ({4: 0.0}, r"^40 steps of 0 ms"),
    ],
)
def test_refuses_what_is_not_a_layer_of_synapses(change, message):
    arguments = [*layer_of_synapses(), 0.5]
    for place, value in change.items():
        arguments[place] = value
    with pytest.raises(InputError, match=message):
        synaptic_input(*arguments)


def test_refuses_a_negative_jump():
    with pytest.raises(InputError, match=r"^jump\[1\] is -2; "):
        exponential_synapse(torch.tensor([1.0, -2.0]), 5.0, 0.1)
