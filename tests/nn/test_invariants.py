"""What holds for every conductance-weighted average."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conductance.nn import AbsNormLinear, CWAConv2d, CWALinear

seeds = st.integers(0, 10_000)


def random_layer(seed, **options):
    torch.manual_seed(seed)
    layer = CWALinear(10, 6, dtype=torch.float64, **{"activation": None, **options})
    layer.set_conductance(torch.exp(2 * torch.randn(6, 10, dtype=torch.float64)))
    return layer, torch.rand(8, 10, dtype=torch.float64)


@given(seeds)
def test_z_lies_between_the_lowest_and_the_highest_valence(seed):
    valence = [-0.8] * 4 + [0.1] * 3 + [0.6] * 3
    layer, p = random_layer(seed, valence=valence, resting_potential=0.2)
    z = layer(p)
    assert z.min() >= -0.8
    assert z.max() <= 0.6


@given(seeds)
def test_p_is_z_rectified_and_lies_in_0_to_1(seed):
    layer, p = random_layer(seed)
    open_layer, _ = random_layer(seed, activation="relu")
    assert open_layer(p).min() >= 0
    assert open_layer(p).max() <= 1
    assert torch.equal(open_layer(p), layer(p).clamp(min=0))


@given(seeds, st.floats(1e-3, 1))
def test_without_a_leak_only_the_pattern_of_p_counts(seed, factor):
    layer, p = random_layer(seed, resting_conductance=0.0)
    torch.testing.assert_close(layer(factor * p), layer(p))


@given(seeds)
def test_channels_of_one_valence_are_interchangeable(seed):
    layer, p = random_layer(seed)
    order = torch.cat([torch.randperm(5), 5 + torch.randperm(5)])
    z = layer(p)
    layer.set_conductance(layer.conductance[:, order])
    torch.testing.assert_close(layer(p[:, order]), z)


@given(seeds, st.integers(0, 4), st.floats(0.01, 100))
def test_more_excitatory_conductance_never_lowers_z_and_more_inhibitory_never_raises_it(seed, channel, more):
    layer, p = random_layer(seed)
    z, G = layer(p), layer.conductance.detach().clone()
    for shift, sign in ((0, 1), (5, -1)):
        changed = G.clone()
        changed[:, shift + channel] += more
        layer.set_conductance(changed)
        assert bool((sign * (layer(p) - z) >= -1e-12).all())


@given(st.floats(-1, 1), st.floats(1e-6, 1e3))
def test_without_input_a_unit_rests_at_its_resting_potential(e_r, G_r):
    layer = CWALinear(4, 3, resting_conductance=G_r, resting_potential=e_r, activation=None, dtype=torch.float64)
    torch.testing.assert_close(
        layer(torch.zeros(2, 4, dtype=torch.float64)), torch.full((2, 3), e_r, dtype=torch.float64)
    )


def test_without_input_and_without_a_leak_it_rests_there_too_and_gradients_stay_finite():
    layer = CWALinear(4, 3, resting_conductance=0.0, resting_potential=0.5, activation="relu")
    p = torch.zeros(2, 4, requires_grad=True)
    result = layer(p)
    torch.testing.assert_close(result, torch.full((2, 3), 0.5))
    result.sum().backward()
    assert layer.g.grad.isfinite().all()
    assert p.grad.isfinite().all()


def test_z_is_half_the_log_ratio_of_excitation_to_inhibition_through_tanh():
    layer, p = random_layer(0)
    E, I = layer.excitation_inhibition(p)
    torch.testing.assert_close(layer(p), torch.tanh(0.5 * torch.log(E / I)))


@settings(max_examples=10)
@given(seeds)
def test_multiplying_all_conductances_leaves_z_alone(seed):
    layer, p = random_layer(seed, resting_conductance=0.5)
    scaled, _ = random_layer(seed, resting_conductance=1.5)
    scaled.set_conductance(3 * layer.conductance)
    torch.testing.assert_close(scaled(p), layer(p))


def test_absnorm_lies_in_minus_1_to_1():
    layer = AbsNormLinear(10, 6, resting_conductance=0.01, activation=None)
    z = layer(torch.rand(50, 10))
    assert z.abs().max() <= 1
    assert z.min() < 0 < z.max()


def test_padding_is_closed_synapses():
    layer = CWAConv2d(2, 3, 3, padding=1, resting_potential=-0.3, activation=None)
    torch.testing.assert_close(layer(torch.zeros(1, 2, 4, 4)), torch.full((1, 3, 4, 4), -0.3))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_the_result_has_the_type_of_the_layer(dtype):
    layer = CWALinear(8, 4, dtype=dtype, activation="relu")
    assert layer(torch.rand(3, 8, dtype=dtype)).dtype == dtype
