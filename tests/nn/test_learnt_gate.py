"""Learnt thresholds and gains (paper eq. 1), and the gradient without shunting."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from conductance import functional
from conductance.analysis import observe
from conductance.nn import AbsNormLinear, CWAConv2d, CWALinear, Gate
from conductance.transform import freeze


def test_a_new_gate_is_the_rectification():
    z = torch.linspace(-1, 1, 201).view(-1, 1).expand(-1, 3)
    assert torch.equal(Gate(3)(z), z.clamp(min=0))


@given(st.floats(-1, 1), st.floats(-0.9, 0.9), st.floats(0.01, 5))
def test_it_is_eq_1_for_any_threshold_and_width(z, threshold, width):
    gate = Gate(1, dtype=torch.float64)
    with torch.no_grad():
        gate.threshold.fill_(threshold)
        gate.log_width.fill_(width).log_()
    p = gate(torch.tensor([z], dtype=torch.float64)).item()
    assert p == pytest.approx(min(max((z - threshold) / width, 0), 1), abs=1e-12)
    assert gate.width.item() == pytest.approx(width)


def test_each_channel_of_an_image_has_its_own():
    gate = Gate(2, -3)
    with torch.no_grad():
        gate.threshold.copy_(torch.tensor([0.0, 0.5]))
    p = gate(torch.full((1, 2, 3, 3), 0.75))
    assert torch.equal(p[0, 0], torch.full((3, 3), 0.75))
    assert torch.equal(p[0, 1], torch.full((3, 3), 0.25))


def test_gradients_reach_threshold_and_width():
    gate = Gate(4, dtype=torch.float64)
    z = torch.tensor([[0.2, 0.4, 0.6, -0.3]], dtype=torch.float64, requires_grad=True)

    def gated(z, threshold, log_width):
        return torch.func.functional_call(gate, {"threshold": threshold, "log_width": log_width}, (z,))

    assert torch.autograd.gradcheck(gated, (z, gate.threshold, gate.log_width))


@pytest.mark.parametrize("layer", [
    lambda **options: CWALinear(6, 5, **options),
    lambda **options: CWAConv2d(6, 5, 3, **options),
])  # fmt: skip
def test_a_layer_with_a_learnt_gate_starts_as_the_layer_without_and_freezes(layer):
    p = torch.rand(2, 6) if isinstance(layer(), CWALinear) else torch.rand(2, 6, 5, 5)
    plain, gated = layer(activation="relu"), layer(activation="relu", learn_gate=True)
    gated.load_state_dict(plain.state_dict(), strict=False)
    torch.testing.assert_close(gated(p), plain(p))
    with torch.no_grad():
        gated.gate.threshold.uniform_(-0.1, 0.1)
    assert not torch.equal(gated(p), plain(p))
    torch.testing.assert_close(freeze(gated)(p), gated(p))


def test_without_rectification_there_is_no_gate():
    assert CWALinear(4, 2, activation=None, learn_gate=True).gate is None


def test_a_detached_denominator_changes_the_gradient_alone():
    p = torch.rand(3, 4, dtype=torch.float64)
    usual = CWALinear(4, 2, activation="relu", dtype=torch.float64, resting_potential=0.5)
    detached = CWALinear(4, 2, activation="relu", dtype=torch.float64, resting_potential=0.5, detached_denominator=True)
    detached.load_state_dict(usual.state_dict())
    torch.testing.assert_close(detached(p), usual(p))
    detached(p).sum().backward()
    E, I = usual.excitation_inhibition(p)
    open_units = ((E > I) / (E + I)).detach()
    valence = usual.valence.view(1, -1)
    torch.testing.assert_close(detached.g.grad, (open_units.T @ p) * valence)
    assert not torch.equal(functional.detached_membrane_potential(torch.cat([E, I], -1), -1), E - I)


@pytest.mark.parametrize("layer", [CWALinear, AbsNormLinear])
def test_uncut_is_the_average_of_potentials_between_0_and_1(layer):
    units = layer(6, 5, activation="full_range", resting_conductance=0.3).double()
    p = torch.rand(7, 6, dtype=torch.float64)
    E, I = units.excitation_inhibition(p)
    torch.testing.assert_close(units(p), E / (E + I))
    torch.testing.assert_close(freeze(units)(p), units(p))


def test_what_is_observed_of_a_gated_layer_is_what_it_sends():
    p = torch.rand(3, 6)
    for options in ({"activation": "full_range"}, {"activation": "relu", "learn_gate": True}, {"activation": "relu"}):
        layer = CWALinear(6, 5, **options)
        (seen,) = observe(torch.nn.Sequential(layer), p)
        torch.testing.assert_close(seen.p, layer(p))
