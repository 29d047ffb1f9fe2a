"""Eq. 1: against a transcription in plain Python, and by what a membrane must do."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.autograd import gradcheck

from conductance.biophysics import steady_state
from conductance.errors import InputError


def transcription(p, G, E, G_r, E_r):
    """Eq. 1 for one sample, symbol by symbol; every argument a list of floats (G a list of rows)."""
    V = []
    for i in range(len(G)):
        numerator = math.fsum([G_r[i] * E_r[i], *(G[i][j] * p[j] * E[j] for j in range(len(p)))])
        denominator = math.fsum([G_r[i], *(G[i][j] * p[j] for j in range(len(p)))])
        V.append(numerator / denominator)
    return V


def numbers(low, high, size):
    return st.lists(st.floats(low, high), min_size=size, max_size=size)


@st.composite
def membranes(draw, batch=3):
    """Samples of p, and G, E, G_r, E_r of a few units, as lists. The first synapse keeps E from looking like volts."""
    fan_in, out = draw(st.integers(1, 6)), draw(st.integers(1, 4))
    p = [draw(numbers(0, 1, fan_in)) for _ in range(batch)]
    G = [draw(numbers(0, 50, fan_in)) for _ in range(out)]
    E = [draw(st.sampled_from([-90.0, -70.0, 55.0])), *draw(numbers(-100, 60, fan_in - 1))]
    G_r = draw(numbers(0.01, 20, out))
    E_r = draw(numbers(-90, -40, out))
    return p, G, E, G_r, E_r


def evaluate(p, G, E, G_r, E_r, dtype=torch.float64):
    p, G, E, G_r, E_r = (torch.tensor(quantity, dtype=dtype) for quantity in (p, G, E, G_r, E_r))
    return steady_state(p, G, E, resting_conductance=G_r, resting_potential=E_r)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
@given(membrane=membranes())
def test_equals_the_transcription(dtype, tolerance, membrane):
    p, *rest = membrane
    V = evaluate(*membrane, dtype=dtype)
    expected = torch.tensor([transcription(sample, *rest) for sample in p], dtype=torch.float64)
    assert V.dtype == dtype
    torch.testing.assert_close(V.double(), expected, rtol=tolerance, atol=100 * tolerance)


@given(membranes())
def test_lies_between_the_least_and_the_greatest_potential(membrane):
    *_, E, _, E_r = membrane
    V = evaluate(*membrane)
    for unit, rest in enumerate(E_r):
        assert V[:, unit].min() >= min(*E, rest) - 1e-9
        assert V[:, unit].max() <= max(*E, rest) + 1e-9


@given(membranes())
def test_rests_at_the_resting_potential_when_every_synapse_is_closed(membrane):
    p, G, E, G_r, E_r = membrane
    closed = [[0.0] * len(E)] * len(p)
    expected = torch.tensor(E_r, dtype=torch.float64).expand(len(p), -1)
    torch.testing.assert_close(evaluate(closed, G, E, G_r, E_r), expected, rtol=1e-14, atol=0)


@given(membranes(batch=1), st.floats(0, 20), st.data())
def test_more_conductance_moves_the_potential_towards_its_reversal_potential(membrane, more, data):
    (p,), G, E, G_r, E_r = membrane
    j = data.draw(st.integers(0, len(E) - 1))
    V = evaluate(p, G, E, G_r, E_r)
    raised = [[g + more * (k == j) for k, g in enumerate(row)] for row in G]
    V_raised = evaluate(p, raised, E, G_r, E_r)
    excited = E[j] > V
    assert (V_raised >= V - 1e-9)[excited].all()
    assert (V_raised <= V + 1e-9)[~excited].all()


def test_a_strong_open_synapse_takes_the_membrane_to_its_reversal_potential():
    V = evaluate([1.0, 1.0], [[1e12, 1.0]], [-90.0, 0.0], [1.0], [-65.0])
    assert V.item() == pytest.approx(-90, abs=1e-9)


@given(membranes(), st.floats(1e-3, 1e3))
def test_only_ratios_of_conductances_count(membrane, factor):
    p, G, E, G_r, E_r = membrane
    scaled = evaluate(p, [[factor * g for g in row] for row in G], E, [factor * g for g in G_r], E_r)
    torch.testing.assert_close(scaled, evaluate(*membrane), rtol=1e-12, atol=1e-10)


def test_the_leak_may_be_absent_where_a_synapse_is_open():
    V = evaluate([0.5], [[2.0]], [-70.0], [0.0], [-65.0])
    assert V.item() == -70


def test_samples_may_come_in_any_shape():
    torch.manual_seed(0)
    p = torch.rand(2, 3, 5, dtype=torch.float64)
    G = torch.rand(4, 5, dtype=torch.float64)
    E = [0.0, 0.0, -70.0, -90.0, -70.0]
    V = steady_state(p, G, E, resting_conductance=1.0, resting_potential=-65.0)
    assert V.shape == (2, 3, 4)
    alone = steady_state(p[1, 2], G, E, resting_conductance=[1.0] * 4, resting_potential=[-65.0] * 4)
    torch.testing.assert_close(V[1, 2], alone)


def test_takes_spikes_counted_as_integers():
    V = steady_state(
        torch.tensor([1, 0]),
        torch.tensor([[1, 4]]),
        [-70.5, 0.0],
        resting_conductance=1,
        resting_potential=-65.5,
    )
    assert V.tolist() == [-68]


def test_gradients():
    torch.manual_seed(0)
    p, G = 0.1 + 0.8 * torch.rand(3, 4, dtype=torch.float64), 0.5 + torch.rand(2, 4, dtype=torch.float64)
    E, G_r = torch.tensor([0.0, 0.0, -70.0, -90.0]).double(), torch.tensor([1.0, 2.0]).double()
    E_r = torch.tensor([-65.0, -60.0]).double()
    arguments = [each.requires_grad_() for each in (p, G, E, G_r, E_r)]

    def function(p, G, E, G_r, E_r):
        return steady_state(p, G, E, resting_conductance=G_r, resting_potential=E_r)

    assert gradcheck(function, arguments)


GOOD = {
    "open_probability": [[0.5, 0.5], [0.0, 1.0]],
    "conductance": [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]],
    "reversal_potential": [0.0, -70.0],
    "resting_conductance": [1.0, 1.0, 1.0],
    "resting_potential": -65.0,
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"conductance": [[1.0, 2.0], [3.0, -4.0], [5.0, 6.0]]}, r"^conductance\[1, 1\] is -4; .*at least 0 nS"),
        ({"conductance": [[1.0, math.nan], [3.0, 4.0], [5.0, 6.0]]}, r"^conductance\[0, 1\] is nan; "),
        ({"conductance": [[1.0, 2.0], [3.0, 4.0], [math.inf, 6.0]]}, r"^conductance\[2, 0\] is inf; "),
        ({"conductance": [1.0, 2.0]}, r"^conductance has shape \(2,\); give \(out, fan_in\)"),
        ({"resting_conductance": [1.0, -1.0, 1.0]}, r"^resting_conductance\[1\] is -1; "),
        ({"resting_conductance": math.nan}, r"^resting_conductance is nan; "),
        ({"resting_conductance": [1.0, 1.0]}, r"^resting_conductance has shape \(2,\); .* \(3,\)"),
        ({"open_probability": [[0.5, 1.5], [0.0, 1.0]]}, r"^open_probability\[0, 1\] is 1.5; .*\[0, 1\]"),
        ({"open_probability": [[0.5, 0.5], [-0.1, 1.0]]}, r"^open_probability\[1, 0\] is -0.1; "),
        ({"open_probability": [[0.5, math.nan], [0.0, 1.0]]}, r"^open_probability\[0, 1\] is nan; "),
        ({"open_probability": [0.5, 0.5, 0.5]}, r"^open_probability has shape \(3,\); .* needs \(\.\.\., 2\)"),
        ({"open_probability": 0.5}, r"^open_probability has shape \(\); "),
        ({"reversal_potential": [0.0, -0.07]}, r"^reversal_potential .*volts.*millivolts"),
        ({"reversal_potential": [0.0, math.nan]}, r"^reversal_potential\[1\] is nan; "),
        ({"reversal_potential": -70.0}, r"^reversal_potential has shape \(\); .* \(2,\)"),
        ({"resting_potential": -0.065}, r"^resting_potential .*volts.*millivolts"),
        ({"resting_potential": -math.inf}, r"^resting_potential is -inf; "),
        ({"resting_potential": [-65.0]}, r"^resting_potential has shape \(1,\); .* \(3,\)"),
        (
            {"resting_conductance": [1.0, 0.0, 1.0], "conductance": [[1.0, 2.0], [3.0, 0.0], [5.0, 6.0]]},
            r"^unit 1 has no conductance for sample \[1\]: .* resting_conductance above 0 nS",
        ),
        (
            {"open_probability": [0.0, 0.0], "resting_conductance": 0.0},
            r"^unit 0 has no conductance: ",
        ),
    ],
)
def test_refuses_what_is_not_a_membrane(change, message):
    arguments = {name: torch.tensor(value) for name, value in (GOOD | change).items()}
    p, G, E = (arguments.pop(name) for name in ("open_probability", "conductance", "reversal_potential"))
    with pytest.raises(InputError, match=message):
        steady_state(p, G, E, **arguments)


def test_potentials_of_zero_are_not_taken_for_volts():
    G = torch.tensor([[1.0, 2.0]])
    V = steady_state(torch.ones(2), G, [0.0, 0.0], resting_conductance=1.0, resting_potential=0.0)
    assert V.item() == 0
