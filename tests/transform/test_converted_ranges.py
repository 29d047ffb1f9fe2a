"""What converted layers see: activations, norms and data beyond [0, 1]."""

import pytest
import torch
from converted_networks import assert_faithful, mlp
from torch import nn
from torch.nn import functional as F

import conductance
from conductance.errors import InputError
from conductance.nn import CWALinear, ScaledInput, SignedInput


def test_relu_is_fused_and_hidden_layers_read_units():
    example = torch.rand(20, 6)
    report = conductance.convert(mlp(nn.ReLU(), nn.ReLU()), example)
    assert [line.name for line in report.layers] == ["0", "2"]
    assert [line.doubled for line in report.layers] == [True, False]
    assert [(line.reads, line.returns) for line in report.layers] == [("[0, 1]", "p")] * 2
    assert report.layers[1].fed_by == ("0",)
    assert report.layers[0].fed_by == ("data",)
    assert report.fused == ["1", "3"]
    assert [line.name for line in report.kept] == ["4"]
    assert all(torch.allclose(line.balance, torch.ones(8).double(), atol=1e-4) for line in report.layers)
    assert_faithful(report, example)


@pytest.mark.parametrize("activation", [nn.GELU, nn.SiLU, nn.Tanh, nn.LeakyReLU, nn.ELU, nn.Hardswish, nn.Mish])
def test_other_activations_are_kept_and_their_range_is_the_functions(activation):
    report = conductance.convert(mlp(activation(), activation()), torch.rand(20, 6))
    bound = activation()(torch.linspace(-1, 1, 4001)).abs().max()
    layer = report.model[2]
    assert isinstance(layer, SignedInput)
    assert not layer.grows
    assert float(layer.scale) == pytest.approx(float(bound), abs=1e-3)
    assert report.layers[0].returns == f"z, then {activation.__name__}"
    assert_faithful(report, torch.rand(20, 6))


@pytest.mark.parametrize("activation", [nn.GELU, nn.SiLU, nn.Tanh])
def test_other_activations_are_replaced_by_choice(activation):
    report = conductance.convert(mlp(activation(), activation()), torch.rand(20, 6), activations="replace")
    assert [line.returns for line in report.layers] == ["p", "p"]
    assert report.fused == ["1", "3"]
    assert type(report.model[2]) is CWALinear


class GatedLinearUnit(nn.Module):
    def forward(self, x):
        a, b = x.chunk(2, -1)
        return a * F.gelu(b)


class QuickGELU(nn.Module):
    def forward(self, x):
        return x * torch.sigmoid(1.702 * x)


@pytest.mark.parametrize(("activation", "width", "replaced"), [(GatedLinearUnit, 16, []), (QuickGELU, 8, ["1"])])
def test_only_what_is_an_activation_and_nothing_more_is_replaced(activation, width, replaced):
    model = nn.Sequential(nn.Linear(6, width), activation(), nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 2))
    report = conductance.convert(model, torch.rand(9, 6), activations="replace")
    assert report.fused == [*replaced, "3"]
    assert_faithful(report, torch.rand(9, 6))
    gates = nn.Sequential(nn.Linear(6, 8), nn.Sigmoid(), nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 2))
    assert conductance.convert(gates, torch.rand(9, 6), activations="replace").fused == ["3"]


def test_a_sum_is_read_by_its_mean():
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.c, self.d = (nn.Linear(4, 4) for _ in range(4))

        def forward(self, x):
            x = F.relu(self.a(x))
            x = F.relu(x + self.b(x))
            return self.d(F.relu(self.c(x)))

    report = conductance.convert(Residual(), torch.rand(9, 4))
    assert isinstance(report.model.c, ScaledInput)
    assert float(report.model.c.scale) == 2
    assert [line.reads for line in report.layers] == ["[0, 1]", "[0, 1]", "[0, 2]"]
    assert_faithful(report, torch.rand(9, 4))


def test_what_normalization_leaves_unbounded_is_scaled_as_seen_and_grows_in_training():
    model = nn.Sequential(nn.Linear(6, 8), nn.LayerNorm(8), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
    report = conductance.convert(model, torch.rand(20, 6))
    reader = report.model[2]
    assert isinstance(reader, SignedInput)
    assert reader.grows
    seen = float(reader.scale)
    assert report.layers[1].input.high <= seen + 1e-6
    reader.eval()(100 * torch.randn(3, 8))
    assert float(reader.scale) == seen
    reader.train()(torch.full((3, 8), -2 * seen))
    assert float(reader.scale) == pytest.approx(2 * seen)
    reader(torch.full((3, 8), float("nan")))
    assert float(reader.scale) == pytest.approx(2 * seen)


@pytest.mark.parametrize("norm", [nn.BatchNorm1d(8), nn.GroupNorm(2, 8)])
def test_channel_norms_are_dropped_or_kept(norm):
    def model():
        return nn.Sequential(nn.Linear(6, 8), norm, nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))

    dropped = conductance.convert(model(), torch.rand(20, 6))
    assert dropped.dropped == ["1"]
    assert type(dropped.model[3]) is CWALinear
    kept = conductance.convert(model(), torch.rand(20, 6), normalization="keep")
    assert kept.dropped == []
    assert isinstance(kept.model[3], ScaledInput)
    assert kept.model[3].grows
    assert_faithful(kept, torch.rand(20, 6))


def test_signed_data_and_data_beyond_one_are_scaled():
    signed = conductance.convert(mlp(nn.ReLU(), nn.ReLU()), torch.randn(50, 6))
    large = conductance.convert(mlp(nn.ReLU(), nn.ReLU()), 16 * torch.rand(50, 6))
    assert isinstance(signed.model[0], SignedInput)
    assert type(large.model[0]) is ScaledInput
    assert large.layers[0].doubled


def test_signed_input_can_be_refused():
    with pytest.raises(InputError, match="2 may be given negative values"):
        conductance.convert(mlp(nn.GELU(), nn.ReLU()), torch.rand(20, 6), signed_input="error")
