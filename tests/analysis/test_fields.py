"""Receptive fields: what is kept is what the layer has, and what is damaged is told."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from conductance.analysis.fields import FINEST, UNITS, packed_fields, receptive_fields, unpacked_fields
from conductance.nn import CWAConv1d, CWAConv2d, CWALinear


@given(st.integers(1, 3), st.integers(1, 12), st.integers(1, 5), st.integers(1, 4))
def test_kept_fields_are_the_layers_own(channels, units, height, width):
    layer = CWAConv2d(channels, units, (height, width))
    kept = unpacked_fields(json.loads(json.dumps(packed_fields(layer, (channels, 9, 9)))))
    own = torch.stack(receptive_fields(layer))[:, :UNITS].double()
    assert kept.shape == own.shape
    assert np.abs(kept - (own / own.max()).numpy()).max() <= 0.5 / FINEST + 1e-6


@given(st.booleans(), st.integers(1, 3), st.integers(2, 5))
def test_a_linear_layer_has_fields_where_it_reads_the_image(doubled, channels, side):
    image = (channels, side, side + 1)
    layer = CWALinear(channels * side * (side + 1), 4, doubled_input=doubled)
    assert unpacked_fields(packed_fields(layer, image)).shape == (2, 4, side, side + 1)
    assert packed_fields(layer, (channels, side, 3 * side + 5)) is None
    assert packed_fields(layer, (channels * side * (side + 1),)) is None


def test_other_layers_have_none():
    assert packed_fields(CWAConv1d(1, 2, 3), (1, 9)) is None


@pytest.mark.parametrize(
    "change", [{"units": 3}, {"units": 0}, {"width": "2"}, {"values": "!"}, {"values": 7}, {"values": "AAAA"}]
)
def test_damaged_fields_are_refused(change):
    kept = packed_fields(CWAConv2d(1, 2, 3), (1, 9, 9))
    with pytest.raises(ValueError, match=r"values|sizes"):
        unpacked_fields({**kept, **change})
