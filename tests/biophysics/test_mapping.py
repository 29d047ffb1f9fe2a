"""A CWA layer and eq. 1 in millivolts are the same computation."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from conductance.biophysics import (
    PotentialRange,
    layer_steady_state,
    rectified_gate,
    reversal_potentials,
    steady_state,
)
from conductance.errors import InputError
from conductance.nn import AbsNormLinear, CWAConv2d, CWALinear, LateralLinear

IN, OUT = 6, 4
RANGES = [PotentialRange(), PotentialRange(-90.0, 55.0)]
VALENCES = {
    "half and half": None,
    "four in five excitatory": 0.8,
    "two classes, interleaved": [1.0, -1.0, 1.0, -1.0, -1.0, 1.0],
    "AMPA, GABA-A and GABA-B": [1.0, 1.0, 1.0, -0.5, -1.0, -0.5],
    "all different": [1.0, 0.99, 0.3, 0.0, -0.7, -1.0],
}
DOUBLED = {
    "copies at +1 and -1": None,
    "copies of several classes": [1.0, 1.0, 0.5, 0.5, 1.0, 0.2, -1.0, -0.6, -1.0, -0.6, -1.0, 0.0],
}
CASES = [(name, e, False) for name, e in VALENCES.items()] + [(name, e, True) for name, e in DOUBLED.items()]
cases = pytest.mark.parametrize(("valence", "doubled"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
seeds = st.integers(0, 2**31)
resting = st.tuples(st.floats(0, 10), st.floats(-1, 1))


def build(seed, valence, doubled, resting, activation=None):
    """A layer with random conductances, some of them 0, and open probabilities for it, some of them 0."""
    generator = torch.Generator().manual_seed(seed)
    G_r, e_r = resting
    layer = CWALinear(
        IN,
        OUT,
        **({"excitatory_share": valence} if isinstance(valence, float) else {"valence": valence}),
        doubled_input=doubled,
        resting_conductance=torch.linspace(0.1, 1, OUT, dtype=torch.float64) + G_r,
        resting_potential=torch.linspace(0.5, 1, OUT, dtype=torch.float64) * e_r,
        activation=activation,
        dtype=torch.float64,
    )
    layer.set_conductance(5 * (torch.rand(layer.conductance.shape, generator=generator).double() - 0.2).relu())
    return layer, (torch.rand(3, IN, generator=generator).double() - 0.1).relu()


@cases
@pytest.mark.parametrize("potentials", RANGES, ids=str)
@given(seed=seeds, resting=resting)
def test_the_layer_is_eq_1_rescaled(valence, doubled, potentials, seed, resting):
    layer, p = build(seed, valence, doubled, resting)
    V = layer_steady_state(layer, p, potentials)
    torch.testing.assert_close(potentials.to_valence(V), layer(p), rtol=0, atol=1e-12)


@cases
@given(seed=seeds, resting=resting)
def test_the_activated_layer_is_the_rectified_gate_in_millivolts(valence, doubled, seed, resting):
    layer, p = build(seed, valence, doubled, resting, activation="relu")
    potentials = PotentialRange()
    V = layer_steady_state(layer, p, potentials)
    gated = rectified_gate(V, threshold=potentials.midpoint, slope_factor=potentials.half_width)
    torch.testing.assert_close(gated, layer(p), rtol=0, atol=1e-12)


@given(seeds)
def test_a_layer_built_from_a_membrane_gives_its_potential_back(seed):
    torch.manual_seed(seed)
    potentials = PotentialRange(-90.0, 0.0)
    E = reversal_potentials(["AMPA"] * 3 + ["GABA-A"] * 2 + ["GABA-B"])
    G, p = 5 * torch.rand(OUT, IN), torch.rand(3, IN)
    layer = CWALinear(
        IN,
        OUT,
        valence=potentials.to_valence(E),
        resting_conductance=2.0,
        resting_potential=potentials.to_valence(-65.0),
        activation=None,
    )
    layer.set_conductance(G)
    V = steady_state(p, G, E, resting_conductance=2.0, resting_potential=-65.0)
    torch.testing.assert_close(potentials.to_millivolts(layer(p)), V, rtol=0, atol=1e-4)
    torch.testing.assert_close(layer_steady_state(layer, p, potentials), V, rtol=0, atol=1e-4)


def test_gradients_reach_the_layer():
    layer, p = build(0, None, False, (1.0, 0.0))
    layer_steady_state(layer, p).sum().backward()
    assert layer.g.grad is not None
    assert layer.g.grad.abs().sum() > 0


def test_a_layer_may_rest_within_a_millivolt_of_zero():
    """Such a potential comes from the layer, not from a person who took volts for millivolts."""
    layer = CWALinear(IN, OUT, resting_potential=0.999, dtype=torch.float64)
    p = torch.full((IN,), 0.5, dtype=torch.float64)
    torch.testing.assert_close(PotentialRange().to_valence(layer_steady_state(layer, p)), layer(p), rtol=0, atol=1e-12)


@pytest.mark.parametrize("layer", [torch.nn.Linear(3, 2), AbsNormLinear(3, 2)])
def test_refuses_a_layer_that_has_no_conductances(layer):
    with pytest.raises(InputError, match=f"^{type(layer).__name__} has no conductance, valence.*give a CWALinear"):
        layer_steady_state(layer, torch.ones(3))


@given(seeds, st.booleans())
def test_further_conductances_join_the_average(seed, pooled):
    layer, p = build(seed, None, False, (1.0, -0.5), activation=None)
    layer.pooled_interneuron = pooled
    joining = 3 * torch.rand(*p.shape[:-1], 2 * OUT, dtype=p.dtype)
    potentials = PotentialRange(-90.0, 0.0)
    V = layer_steady_state(layer, p, potentials, joining)
    torch.testing.assert_close(potentials.to_valence(V), layer(p, joining), rtol=0, atol=1e-12)
    torch.testing.assert_close(potentials.to_valence(layer_steady_state(layer, p, potentials)), layer(p))


def test_refuses_a_layer_whose_average_is_not_its_own():
    p = torch.ones(3)
    with pytest.raises(InputError, match=r"a LateralLinear has interneurons.*give the layer to to_biophysical"):
        layer_steady_state(LateralLinear(3, 2), p)
    with pytest.raises(InputError, match="a CWALinear with average=False has no membranes"):
        layer_steady_state(CWALinear(3, 2, average=False), p)
    with pytest.raises(InputError, match=r"extra_conductances\[1\] is -1"):
        layer_steady_state(CWALinear(3, 2), p, extra_conductances=torch.tensor([1.0, -1.0, 1.0, 1.0]))


def test_refuses_a_convolution():
    with pytest.raises(InputError, match=r"^conductance has shape \(4, 2, 3, 3\); give \(out, fan_in\)"):
        layer_steady_state(CWAConv2d(2, 4, 3), torch.ones(2))
