"""Gates: from membrane potential to open probability."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.autograd import gradcheck

from conductance.biophysics import boltzmann_gate, rectified_gate
from conductance.errors import InputError

GATES = [boltzmann_gate, rectified_gate]
potentials = st.floats(-120, 60)
thresholds = st.floats(-80, 0)
slopes = st.floats(0.5, 50)


def at(V):
    return torch.tensor(V, dtype=torch.float64)


@given(potentials, thresholds, slopes)
def test_boltzmann_is_the_logistic_of_eq_1(V, E_th, k):
    p = boltzmann_gate(at(V), threshold=E_th, slope_factor=k).item()
    assert p == pytest.approx(1 / (1 + math.exp(-(V - E_th) / k)), rel=1e-12)


@given(potentials, thresholds, slopes)
def test_rectified_is_linear_between_threshold_and_one_slope_factor_above(V, E_th, k):
    p = rectified_gate(at(V), threshold=E_th, slope_factor=k).item()
    assert p == pytest.approx(min(max((V - E_th) / k, 0), 1), rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("gate", GATES)
@given(V=st.lists(potentials, min_size=2, max_size=2), E_th=thresholds, k=slopes)
def test_opens_with_depolarization_and_stays_a_probability(gate, V, E_th, k):
    low, high = gate(at(sorted(V)), threshold=E_th, slope_factor=k).tolist()
    assert 0 <= low <= high <= 1


@pytest.mark.parametrize("gate", GATES)
def test_each_neuron_may_have_its_own_threshold_and_slope(gate):
    V, E_th, k = at([[-40.0, -55.0], [-20.0, -45.0]]), at([-50.0, -60.0]), at([20.0, 30.0])
    together = gate(V, threshold=E_th, slope_factor=k)
    for j in range(2):
        alone = gate(V[:, j], threshold=E_th[j].item(), slope_factor=k[j].item())
        torch.testing.assert_close(together[:, j], alone)


@pytest.mark.parametrize("gate", GATES)
def test_gradients(gate):
    arguments = [at([-45.0, -60.0, -10.0]), at([-50.0, -50.0, -50.0]), at([20.0, 20.0, 20.0])]
    arguments = [each.requires_grad_() for each in arguments]
    assert gradcheck(lambda V, E_th, k: gate(V, threshold=E_th, slope_factor=k), arguments)


def test_boltzmann_slope_at_threshold_is_a_quarter_of_one_over_k():
    V = at(-50.0).requires_grad_()
    boltzmann_gate(V, threshold=-50.0, slope_factor=4.0).backward()
    assert V.grad is not None
    assert V.grad.item() == pytest.approx(1 / 16)


@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_keeps_the_dtype_of_the_potential(gate, dtype):
    assert gate(torch.zeros(3, dtype=dtype), threshold=-50.0, slope_factor=5.0).dtype == dtype


@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("k", [0.0, -5.0, math.nan])
def test_refuses_a_slope_factor_that_is_not_a_width(gate, k):
    with pytest.raises(InputError, match=r"^slope_factor is .*; k is a width in mV"):
        gate(at(-50.0), threshold=-50.0, slope_factor=k)


def test_names_the_slope_factor_it_refuses():
    with pytest.raises(InputError, match=r"^slope_factor\[1\] is -3; "):
        boltzmann_gate(at([0.0, 0.0]), threshold=-50.0, slope_factor=at([3.0, -3.0]))
