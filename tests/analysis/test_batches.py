"""Batches in the forms in which people hold them, and data that no network of conductances can take."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from conductance import init
from conductance.analysis import observe
from conductance.analysis.internals import internals
from conductance.errors import InputError
from conductance.models import create_model
from conductance.nn import CWALinear

ARRAY = np.random.default_rng(0).random((6, 4), dtype=np.float32)


class TwoInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = CWALinear(4, 3, activation="relu"), CWALinear(4, 3, activation="relu")

    def forward(self, left, right):
        return torch.cat([self.a(left), self.b(right)], 1)


def z_of(model, batch):
    return [seen.z for seen in observe(model, batch)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
def test_an_array_is_seen_as_the_tensor_of_the_models_type(dtype):
    model = CWALinear(4, 3).double()
    (seen,), (wanted,) = z_of(model, ARRAY.astype(dtype)), z_of(model, torch.tensor(ARRAY.astype(dtype)).double())
    assert seen.dtype == torch.float64
    assert torch.equal(seen, wanted)


@pytest.mark.parametrize("form", [tuple, list, lambda pair: dict(zip(("left", "right"), pair, strict=True))])
@pytest.mark.parametrize("make", [np.asarray, torch.tensor])
def test_a_model_with_two_inputs_is_seen(form, make):
    model, pair = TwoInputs(), (make(ARRAY), make(1 - ARRAY))
    wanted = [model.a(torch.tensor(ARRAY)), model.b(torch.tensor(1 - ARRAY))]
    torch.testing.assert_close([seen.p for seen in observe(model, form(pair))], wanted)
    assert internals(model, form(pair))["images"] == 6
    init.initialize(model, form(pair))


@pytest.mark.parametrize(("batch", "complaint"), [
    ((ARRAY, np.arange(6), 1), "a batch holds a int; give a tensor or a numpy array"),
    ((ARRAY, ARRAY, np.arange(6)), r"the batch has 3 part\(s\), and TwoInputs.forward does not take it: too many"),
    (ARRAY, "missing a required argument: 'right'; give the model's inputs alone, without labels, as a tuple"),
    ({"left": ARRAY, "rihgt": ARRAY}, "missing a required argument: 'right'"),
    (np.array(["a"]), "a batch is a numpy array of <U1; give one of numbers"),
    ("images.pt", "a batch holds a str"),
])  # fmt: skip
def test_what_is_no_batch_is_answered_in_a_line(batch, complaint):
    with pytest.raises(InputError, match=complaint):
        observe(TwoInputs(), batch)


@pytest.mark.parametrize("see", [
    observe, init.balance_, init.initialize, lambda model, batch: init.scale_leak_(model, batch, 0.1)
])  # fmt: skip
@settings(max_examples=15, deadline=None)
@given(value=st.floats(-1e3, 1e3, width=32) | st.sampled_from([float("nan"), float("inf")]), where=st.integers(0, 63))
def test_data_outside_the_range_is_refused_wherever_it_is_seen(see, value, where):
    model = create_model("fcn", "cwa", (1, 8, 8), 3, widths=(12, 8))
    before = [parameter.clone() for parameter in model.parameters()]
    images = torch.rand(2, 1, 8, 8)
    images[1].view(-1)[where] = value
    if 0 <= value <= 1.001:
        see(model, images)
        return
    with pytest.raises(InputError, match=r"layer hidden\.0 was given .* lie in \[0, 1\]; "):
        see(model, images)
    assert see is not observe or all(map(torch.equal, before, model.parameters()))


def test_layers_behind_the_first_are_judged_by_what_reaches_them():
    norm = nn.BatchNorm1d(4)
    nn.init.constant_(norm.weight, 5.0)
    p = torch.rand(6, 4)
    behind = nn.Sequential(CWALinear(4, 4, activation="relu"), norm, nn.ReLU(), CWALinear(4, 3))
    assert len(observe(behind, p)) == 2  # a value above 1 keeps z in range
    unrectified = nn.Sequential(CWALinear(4, 4, activation="relu"), norm, CWALinear(4, 3))
    nn.init.constant_(norm.bias, -1.0)
    with pytest.raises(
        InputError, match=r"layer 2 was given values from -.*; rectify what comes before \(torch.nn.ReLU"
    ):
        observe(unrectified, p)
    in_front = nn.Sequential(nn.BatchNorm1d(4), nn.Sigmoid(), CWALinear(4, 3))
    assert len(observe(in_front, 100 * torch.randn(6, 4))) == 1


def test_each_layer_that_reads_data_is_checked():
    with pytest.raises(InputError, match=r"layer b was given values from .*; scale data \(images / 255\)"):
        observe(TwoInputs(), (ARRAY, 255 * ARRAY))
    with pytest.raises(InputError, match=r"layer b was given"):
        observe(TwoInputs(), (torch.tensor(ARRAY), 255 * torch.tensor(ARRAY)))


def test_whole_numbers_are_no_probabilities():
    with pytest.raises(InputError, match=r"the layer was given torch.int64; give floating-point numbers"):
        observe(CWALinear(4, 3), torch.ones(2, 4, dtype=torch.int64))
