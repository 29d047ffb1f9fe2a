"""Valence belongs to the neuron: every reader of a unit agrees on what it is."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from conductance.errors import InputError
from conductance.nn import CWAConv2d, CWALinear, LateralLinear, assign_valences, read_valences


class Branches(nn.Module):
    """Two branches whose units are concatenated, flattened, split and pooled before they are read."""

    def __init__(self, widths, ways):
        super().__init__()
        self.ways = ways
        self.late = nn.Linear(1, 1)  # defined first, runs last
        self.one = CWAConv2d(3, widths[0], 3, padding=1, doubled_input=True)
        self.two = CWAConv2d(3, widths[1], 3, padding=1, doubled_input=True)
        self.norm = nn.BatchNorm2d(sum(widths))
        positions = 1 if "pool" in ways else 16
        self.reader = CWALinear(sum(widths) * positions, 5)
        self.second_reader = CWALinear(sum(widths) * positions, 4)

    def forward(self, x):
        joined = torch.cat([self.one(x), self.two(x)], 1)
        if "norm" in self.ways:
            joined = F.relu(self.norm(joined))
        if "halves" in self.ways:
            left, right = joined.chunk(2, 1)
            joined = torch.cat([right, left], 1)
        if "pool" in self.ways:
            joined = F.adaptive_avg_pool2d(joined, 1)
        flat = joined.flatten(1)
        return self.reader(flat).sum(1) + self.second_reader(flat.clone()).sum(1)


def expected(model):
    valence = torch.cat([model.one.unit_valence, model.two.unit_valence])
    if "halves" in model.ways:
        left, right = valence.chunk(2)
        valence = torch.cat([right, left])
    return valence if "pool" in model.ways else valence.repeat_interleave(16)


@settings(max_examples=15)
@given(
    st.tuples(st.integers(2, 5), st.integers(2, 5)),
    st.sets(st.sampled_from(["norm", "halves", "pool"])),
    st.one_of(st.none(), st.floats(0.2, 0.8)),
)
def test_all_readers_agree_with_the_units_whatever_lies_between(widths, ways, share):
    torch.manual_seed(0)
    model, image = Branches(widths, ways), torch.rand(1, 3, 4, 4)
    assign_valences(model, image, excitatory_share=share)
    for reader in (model.reader, model.second_reader):
        assert torch.equal(reader.valence.double(), expected(model))
    assert not any(reading.disagreeing or reading.mixed for reading in read_valences(model, image))
    assert model(image).isfinite().all()


def test_by_default_a_reader_of_two_branches_is_wrong_and_that_is_seen():
    model, image = Branches((4, 4), {"pool"}), torch.rand(1, 3, 4, 4)
    (reading,) = [reading for reading in read_valences(model, image) if reading.name == "reader"]
    assert reading.disagreeing == [2, 3, 4, 5]


def test_data_keeps_the_valence_that_its_reader_gave_it():
    layer = CWALinear(4, 3, valence=[1, 1, 1, -1])
    assign_valences(nn.Sequential(layer), torch.rand(1, 4))
    assert layer.valence.tolist() == [1, 1, 1, -1]


def test_graded_units_are_read_as_such():
    model = nn.Sequential(CWALinear(4, 3, unit_valence=[1, -0.4, -0.8]), CWALinear(3, 2))
    assign_valences(model, torch.rand(1, 4))
    torch.testing.assert_close(model[1].valence, torch.tensor([1, -0.4, -0.8]))


class Sum(nn.Module):
    def __init__(self, shortcut):
        super().__init__()
        self.one, self.two, self.reader = CWALinear(4, 4), CWALinear(4, 4, unit_valence=shortcut), CWALinear(4, 2)

    def forward(self, x):
        return self.reader((self.one(x) + self.two(x)) / 2)


def test_a_sum_of_units_of_one_kind_has_it_and_of_two_kinds_is_refused():
    assign_valences(Sum([1, 1, -1, -1]), torch.rand(1, 4))
    with pytest.raises(InputError, match=r"reader: its input channel 1 \(of 2 such channels\)"):
        assign_valences(Sum([1, -1, 1, -1]), torch.rand(1, 4))


def test_interneurons_hear_what_the_units_are():
    layer = LateralLinear(4, 4)
    layer.set_unit_valence([1, 1, 1, -1])
    assert layer.interneurons.valence.tolist() == [1, 1, 1, -1]


def test_the_model_is_left_as_it_was():
    model = Branches((3, 2), {"norm"}).train()
    mean = model.norm.running_mean.clone()
    hooks = [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules()]
    read_valences(model, torch.rand(2, 3, 4, 4))
    assert model.training
    assert torch.equal(model.norm.running_mean, mean)
    assert hooks == [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules()]
