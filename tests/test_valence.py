"""Who excites and who inhibits."""

import warnings

import pytest
import torch

from conductance.errors import InputError
from conductance.nn import CWAConv2d, CWALinear
from conductance.valence import MOST_CLASSES, Valence


def test_half_the_channels_excite_unless_told_otherwise():
    assert CWALinear(6, 2).valence.tolist() == [1, 1, 1, -1, -1, -1]
    assert CWALinear(5, 2).valence.tolist() == [1, 1, -1, -1, -1]


def test_a_ratio_is_the_excitatory_share():
    assert CWALinear(10, 2, valence=0.8).valence.tolist() == [1] * 8 + [-1] * 2


def test_each_group_of_a_grouped_layer_has_both_kinds():
    assert CWAConv2d(8, 4, 1, groups=2).valence.tolist() == [1, 1, -1, -1, 1, 1, -1, -1]


def test_a_doubled_input_has_twice_the_valences_excitatory_copies_first():
    layer = CWAConv2d(3, 4, 5, doubled_input=True)
    assert layer.valence.tolist() == [1, 1, 1, -1, -1, -1]
    assert layer.conductance.shape == (4, 6, 5, 5)


def test_channels_of_equal_valence_share_one_product():
    calls = []
    layer = CWALinear(8, 3, valence=[1, -1, 0.5, 1, 0.5, -1, 1, 1])
    plain = layer.synaptic_sum
    layer.synaptic_sum = lambda p, G, bias: calls.append(G.shape) or plain(p, G, bias)
    layer(torch.rand(2, 8))
    assert calls == [(3, 4), (3, 2), (3, 2)]


def test_many_valences_are_two_products_over_all_channels():
    layer = CWALinear(20, 3, valence=torch.linspace(-1, 1, MOST_CLASSES + 1).repeat(3)[:20])
    assert layer.presynaptic.class_values == ()


@pytest.mark.parametrize(
    ("valence", "channels", "complaint"),
    [
        ([1.0, -1.0], 3, "shape (2,), but there are 3 presynaptic channels"),
        ([1.0, -1.0, 1.5], 3, "must lie in [-1, 1]"),
        ([1.0, -1.0, float("nan")], 3, "must lie in [-1, 1]"),
        (1.5, 4, "in [0, 1]"),
        (-0.1, 4, "in [0, 1]"),
    ],
)
def test_what_is_no_valence_is_refused(valence, channels, complaint):
    with pytest.raises(InputError) as caught:
        CWALinear(channels, 2, valence=valence)
    assert complaint in str(caught.value)


def test_a_doubled_input_has_no_ratio_but_takes_a_vector_of_both_copies():
    with pytest.raises(InputError, match="no ratio"):
        CWALinear(3, 2, valence=0.8, doubled_input=True)
    with pytest.raises(InputError, match="6 presynaptic channels"):
        CWALinear(3, 2, valence=[1, 1, -1], doubled_input=True)
    assert CWALinear(3, 2, valence=[1, 1, 1, -1, -1, -0.5], doubled_input=True).valence[-1] == -0.5


@pytest.mark.parametrize(("valence", "kind"), [(1.0, "excitatory"), (0.0, "inhibitory"), ([0.5, 0.5], "excitatory")])
def test_one_sided_layers_warn(valence, kind):
    with pytest.warns(UserWarning, match=f"presynaptic channels are {kind}"):
        CWALinear(2, 2, valence=valence)


def test_two_sided_layers_do_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        CWALinear(2, 2)


def test_every_synapse_has_its_channels_valence():
    valence = Valence([1, -1, 0.5, -0.5], 4, groups=2)
    per_synapse = valence.per_synapse(torch.zeros(6, 2, 3, 3))
    assert per_synapse.shape == (6, 2, 1, 1)
    assert per_synapse[:3, :, 0, 0].tolist() == [[1, -1]] * 3
    assert per_synapse[3:, :, 0, 0].tolist() == [[0.5, -0.5]] * 3
