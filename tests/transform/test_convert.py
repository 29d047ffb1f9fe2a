"""Layers and inputs of all kinds become conductances."""

import copy

import pytest
import torch
from converted_networks import assert_faithful, mlp
from torch import nn
from torch.nn import functional as F

import conductance
from conductance.errors import InputError
from conductance.nn import CWALinear, SignedInput

# Layers ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Conv1d(4, 6, 3, stride=2, padding=1), (4, 9)),
        (nn.Conv2d(4, 6, (3, 2), padding="same", dilation=2), (4, 7, 7)),
        (nn.Conv2d(4, 8, 3, groups=2), (4, 7, 7)),
        (nn.Conv2d(4, 4, 3, groups=4, padding=1), (4, 7, 7)),
        (nn.Conv3d(4, 6, 2, stride=(1, 2, 1)), (4, 4, 4, 4)),
        (nn.Linear(4, 6, bias=False), (3, 4)),
    ],
)
@pytest.mark.parametrize("signed", [False, True])
def test_every_kind_of_layer_keeps_its_shapes(layer, shape, signed):
    example = torch.rand(5, *shape) - (0.5 if signed else 0)
    report = conductance.convert(layer, example, keep=())
    assert report.model(example).shape == layer(example).shape
    assert isinstance(report.model, SignedInput) == signed
    assert_faithful(report, example)


def test_code_that_reads_a_layer_finds_what_torchs_own_has():
    model = mlp(nn.GELU(), nn.GELU()).double()
    converted = conductance.convert(model, torch.rand(9, 6).double()).model
    for old, new in ((model[0], converted[0]), (model[2], converted[2])):
        assert new.weight.dtype == old.weight.dtype
        assert new.weight.device == old.weight.device
        assert new.weight.shape[0] == old.weight.shape[0]
        assert (new.in_features, new.out_features, new.bias) == (old.in_features, old.out_features, None)
        with pytest.raises(AttributeError):
            _ = new.out_feature


def test_a_shared_layer_is_converted_once():
    shared = nn.Linear(8, 8)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), shared, nn.ReLU(), shared, nn.ReLU(), nn.Linear(8, 2))
    report = conductance.convert(model, torch.rand(9, 6))
    assert report.model[2] is report.model[4]
    assert [line.name for line in report.layers] == ["0", "2"]
    assert_faithful(report, torch.rand(9, 6))


def test_grouped_layers_have_both_kinds_of_units_in_each_group():
    model = nn.Sequential(nn.Conv2d(2, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3, groups=2), nn.ReLU(),
                          nn.Conv2d(8, 8, 1), nn.ReLU(), nn.Flatten(), nn.Linear(8, 2))  # fmt: skip
    example = torch.rand(6, 2, 5, 5)
    report = conductance.convert(model, example)
    assert [line.doubled for line in report.layers] == [True, False, False]
    assert (report.model[2].presynaptic.values.view(2, 4).sum(1) == 0).all()
    assert_faithful(report, example)


def test_select_and_keep():
    model = mlp(nn.ReLU(), nn.ReLU(), nn.ReLU(), widths=(6, 8, 8, 8, 4))
    example = torch.rand(9, 6)
    assert [line.name for line in conductance.convert(model, example, keep=("2", "last_linear")).layers] == ["0", "4"]
    assert [line.name for line in conductance.convert(model, example, keep=("[02]",)).layers] == ["4", "6"]
    chosen = conductance.convert(
        model, example, select=lambda name, _: {"nonnegative": "softplus"} if name == "6" else name == "2"
    )
    assert [line.name for line in chosen.layers] == ["2", "6"]
    assert chosen.model[6].layer.nonnegative == "softplus"
    assert {line.name: line.reason for line in chosen.kept}["0"] == "select did not choose it"
    with pytest.raises(InputError, match="no layer can be converted"):
        conductance.convert(model, example, keep=(nn.Linear,))
    assert conductance.convert(model, example, learn_resting=True).model[0].learn_resting


def test_converted_layers_can_have_pooled_interneurons():
    model = nn.Sequential(nn.Conv2d(2, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3, groups=2), nn.ReLU(),
                          nn.Flatten(), nn.Linear(8, 2))  # fmt: skip
    example = torch.rand(6, 2, 5, 5)
    report = conductance.convert(model, example, pooled_interneuron=True)
    layers = list(conductance.init.conductance_layers(report.model))
    assert [layer.pooled_interneuron for layer in layers] == [True, True]
    for seen in conductance.observe(report.model, example):
        torch.testing.assert_close(seen.z.mean(1), torch.zeros_like(seen.z.mean(1)), atol=1e-5, rtol=0)
    assert_faithful(report, example)


def test_by_default_it_is_a_copy_and_modes_stay():
    model = mlp(nn.ReLU(), nn.ReLU()).eval()
    report = conductance.convert(model, torch.rand(9, 6))
    assert isinstance(model[0], nn.Linear)
    assert not any(part.training for part in report.model.modules())
    assert conductance.convert(model, torch.rand(9, 6), inplace=True).model is model
    assert isinstance(model[0], CWALinear)


def test_state_dicts_copies_and_files_know_the_scales(tmp_path):
    model = nn.Sequential(nn.Linear(6, 8), nn.LayerNorm(8), nn.Linear(8, 8), nn.GELU(), nn.Linear(8, 2))
    example = torch.rand(20, 6)
    first, second = (conductance.convert(model, example).model for _ in range(2))
    second.load_state_dict(first.state_dict())
    assert torch.equal(first.eval()(example), second.eval()(example))
    torch.save(first, tmp_path / "model.pt")
    assert torch.equal(torch.load(tmp_path / "model.pt", weights_only=False)(example), first(example))
    assert torch.equal(copy.deepcopy(first)(example), first(example))
    assert torch.allclose(conductance.freeze(first)(example), first(example), atol=1e-6)


# Inputs ---------------------------------------------------------------------------------------------------------------


class TwoInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(4, 6), nn.Linear(4, 6), nn.Linear(6, 2)

    def forward(self, x, y=None):
        return self.c(F.relu(self.a(x) + (self.b(y) if y is not None else 0)))


@pytest.mark.parametrize(
    "example",
    [(torch.rand(5, 4), torch.rand(5, 4)), {"x": torch.rand(5, 4), "y": torch.rand(5, 4)}],
    ids=["tuple", "dictionary"],
)
def test_examples_come_as_the_model_takes_them(example):
    report = conductance.convert(TwoInputs(), example)
    assert [line.name for line in report.layers] == ["a", "b"]


def test_a_layer_that_does_not_run_on_the_example_is_left_alone():
    report = conductance.convert(TwoInputs(), torch.rand(5, 4))
    assert {line.name: line.reason for line in report.kept}["b"] == "it does not run on the example"


def test_lazy_layers_get_their_sizes_from_the_example():
    model = nn.Sequential(nn.LazyConv2d(8, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(10), nn.ReLU(), nn.LazyLinear(3))
    converted = conductance.convert(model, torch.rand(4, 2, 6, 6)).model
    assert [type(part).__name__ for part in converted[::3]] == ["CWAConv2d", "CWALinear"]
    assert converted[3].in_features == 8 * 4 * 4
    assert isinstance(model[0].weight, nn.UninitializedParameter)  # the original is left as it was


def test_a_loader_is_read_without_its_labels():
    data = torch.utils.data.TensorDataset(torch.rand(20, 6), torch.arange(20) % 4)
    loader = torch.utils.data.DataLoader(data, batch_size=8)
    assert len(conductance.convert(mlp(nn.ReLU(), nn.ReLU()), loader).layers) == 2


def test_without_an_example_the_order_of_a_sequential_is_known():
    model = nn.Sequential(nn.Conv2d(1, 7, 3), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Flatten(),
                          nn.Sequential(nn.Linear(7 * 9, 8), nn.GELU()), nn.LayerNorm(8), nn.Linear(8, 8), nn.ReLU(),
                          nn.Linear(8, 2))  # fmt: skip
    report = conductance.convert(model)
    assert [line.name for line in report.layers] == ["0", "4.0"]
    assert {line.name: line.remedy for line in report.kept}["6"] == "give an example"
    assert report.warnings
    assert_faithful(report, torch.rand(3, 1, 8, 8))
