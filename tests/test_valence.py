"""Who excites and who inhibits."""

import warnings

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from conductance.errors import InputError
from conductance.nn import CWAConv2d, CWALinear
from conductance.valence import MOST_CLASSES, Valence


def test_half_the_channels_excite_unless_told_otherwise():
    assert CWALinear(6, 2).valence.tolist() == [1, 1, 1, -1, -1, -1]
    assert CWALinear(5, 2).valence.tolist() == [1, 1, 1, -1, -1]


def test_a_share_of_the_channels_excites():
    assert CWALinear(10, 2, excitatory_share=0.8).valence.tolist() == [1] * 8 + [-1] * 2


def test_a_share_given_as_valence_still_works_and_says_what_it_is_called_now():
    for share in (0.8, torch.tensor(0.8)):
        with pytest.warns(DeprecationWarning, match="excitatory_share=0.8"):
            layer = CWALinear(10, 2, valence=share)
        assert layer.valence.tolist() == [1] * 8 + [-1] * 2


@given(st.integers(2, 9), st.integers(1, 3), st.floats(0.01, 0.99))
def test_no_layer_of_two_channels_or_more_is_all_inhibitory(per_group, groups, share):
    valence = Valence(None, per_group * groups, groups=groups, excitatory_share=share).values.view(groups, -1)
    assert (valence[:, 0] == 1).all()
    half = Valence(None, per_group * groups, groups=groups).values.view(groups, -1)
    assert half.sum(1).tolist() == [per_group % 2] * groups


@pytest.mark.parametrize(("channels", "groups"), [(1, 1), (4, 4)])
def test_a_single_channel_is_read_as_both_kinds(channels, groups):
    torch.manual_seed(0)
    layer = CWAConv2d(channels, 16, 3, padding=1, groups=groups)
    assert layer.doubled_input
    outputs = layer(torch.rand(8, channels, 6, 6))
    assert 0.2 < (outputs > 0).float().mean() < 0.8


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
    ],
)
def test_what_is_no_valence_is_refused(valence, channels, complaint):
    with pytest.raises(InputError) as caught:
        CWALinear(channels, 2, valence=valence)
    assert complaint in str(caught.value)


@pytest.mark.parametrize("share", [1.5, -0.1, float("nan")])
def test_what_is_no_share_is_refused(share):
    with pytest.raises(InputError, match="excitatory_share"):
        CWALinear(4, 2, excitatory_share=share)


def test_a_share_and_values_are_one_too_many():
    with pytest.raises(InputError, match="give one of the two"):
        CWALinear(2, 2, excitatory_share=0.5, valence=[1, -1])


def test_a_doubled_input_has_no_share_but_takes_a_vector_of_both_copies():
    with pytest.raises(InputError, match="no share"):
        CWALinear(3, 2, excitatory_share=0.8, doubled_input=True)
    with pytest.raises(InputError, match="6 presynaptic channels"):
        CWALinear(3, 2, valence=[1, 1, -1], doubled_input=True)
    assert CWALinear(3, 2, valence=[1, 1, 1, -1, -1, -0.5], doubled_input=True).valence[-1] == -0.5


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"excitatory_share": 1.0}, "excitatory"),
        ({"excitatory_share": 0.0}, "inhibitory"),
        ({"valence": [0.5, 0.5]}, "excitatory"),
    ],
)
def test_one_sided_layers_warn(options, kind):
    with pytest.warns(UserWarning, match=f"presynaptic channels are {kind}"):
        CWALinear(2, 2, **options)


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
