"""Networks of affine layers turned into networks of conductances: in range, wired rightly, nothing silently wrong."""

import copy
import warnings
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

import conductance
from conductance.errors import ConductanceError, InputError
from conductance.nn import ConductanceLayer, CWAConv1d, CWAConv3d, CWALinear, ScaledInput, SignedInput, read_valences
from conductance.transform import Conversion


def assert_faithful(report: Conversion, example) -> None:
    """What every conversion promises: inputs in [0, 1], finite outputs, valences on which readers agree, gradients.

    (In training, dropout scales what it leaves.)
    """
    model = report.model
    for dropout in model.modules():
        if isinstance(dropout, nn.Dropout):
            dropout.p = 0.0
    inputs = []
    for layer in model.modules():
        if isinstance(layer, ConductanceLayer):
            layer.register_forward_pre_hook(lambda _, args: inputs.append(args[0].detach()))
    for training in (False, True):
        model.train(training)
        with conductance.validate(model, most_dead=1.0, most_saturated=1.0):
            output = model(example)
        assert output.isfinite().all()
    assert inputs
    assert all(float(p.min()) >= 0 and float(p.max()) <= 1 for p in inputs)
    model.train()
    model(example).square().mean().backward()
    for reading in read_valences(model, example):
        assert reading.layer.doubled_input or not (reading.mixed or reading.disagreeing)


def mlp(*activations, widths=(6, 8, 8, 4)):
    layers = [nn.Linear(a, b) for a, b in pairwise(widths)]
    parts = [
        part for layer, activation in zip(layers, [*activations, None], strict=True) for part in (layer, activation)
    ]
    return nn.Sequential(*parts[:-1])


# Any graph ------------------------------------------------------------------------------------------------------------

STEPS = ("layer", "layer", "layer", "shared", "norm", "relu", "functional relu", "gelu", "sigmoid", "sum",
         "sum in place", "cat", "mean", "dropout", "pool", "gate", "negate", "double", "softmax", "layer norm",
         "clone")  # fmt: skip


class RandomGraph(nn.Module):
    """Does steps, each of which reads earlier values; a readout at the end."""

    def __init__(self, steps, images):
        super().__init__()
        self.steps, self.images = steps, images
        self.layers = nn.ModuleList(self._layer(i) for i, _ in enumerate(steps))
        self.shared = self._layer(0)
        self.norms = nn.ModuleList(nn.BatchNorm2d(4) if images else nn.BatchNorm1d(4) for _ in steps)
        self.relu, self.gelu, self.dropout = nn.ReLU(inplace=True), nn.GELU(), nn.Dropout(0.1)
        self.readout = nn.Linear(4, 3)

    def _layer(self, i):
        return nn.Conv2d(4, 4, 3, padding=1, groups=(1, 2, 4)[i % 3]) if self.images else nn.Linear(4, 4)

    def forward(self, x):
        values = [x, self.shared(x)]
        for i, (what, first, second) in enumerate(self.steps):
            a, b = values[-min(first, len(values))], values[-min(second, len(values))]
            values.append(self._step(i, what, a, b))
        last = values[-1] + values[-2]
        return self.readout(last.mean((2, 3)) if self.images else last)

    def _step(self, i, what, a, b):
        if what == "pool":
            return F.max_pool2d(a, 3, 1, 1) if self.images else a
        if what == "sum in place":
            out = self.norms[i](self.layers[i](a))
            out += b
            return out
        return {
            "layer": lambda: self.layers[i](a),
            "shared": lambda: self.shared(a),
            "norm": lambda: self.norms[i](a),
            "relu": lambda: self.relu(self.norms[i](self.layers[i](a))),
            "functional relu": lambda: F.relu(a),
            "gelu": lambda: self.gelu(a),
            "sigmoid": lambda: a.sigmoid(),
            "sum": lambda: a + b,
            "cat": lambda: torch.cat([a[:, :2], b[:, 2:]], 1),
            "mean": lambda: (a + b) / 2,
            "dropout": lambda: self.dropout(a),
            "gate": lambda: a * b.sigmoid(),
            "negate": lambda: 1 - a,
            "double": lambda: 2 * a,
            "softmax": lambda: a.softmax(1),
            "layer norm": lambda: F.layer_norm(a, a.shape[1:]),
            "clone": lambda: a.clone(),
        }[what]()


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(st.tuples(st.sampled_from(STEPS), st.integers(1, 3), st.integers(1, 3)), min_size=1, max_size=8),
    images=st.booleans(),
    signed=st.booleans(),
    normalization=st.sampled_from(["drop", "keep"]),
    activations=st.sampled_from(["fuse", "replace", "keep"]),
    seed=st.integers(0, 99),
)
def test_any_graph_becomes_one_whose_layers_see_open_probabilities(
    steps, images, signed, normalization, activations, seed
):
    torch.manual_seed(seed)
    model = RandomGraph(steps, images)
    example = torch.rand(5, 4, 6, 6) if images else torch.rand(5, 4)
    example = 3 * example - 1 if signed else example
    before = copy.deepcopy(model.state_dict())
    report = conductance.convert(model, example, normalization=normalization, activations=activations)
    assert_faithful(report, example)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert {line.name for line in report.layers} | {line.name for line in report.kept} == {
        name for name, part in model.named_modules() if isinstance(part, (nn.Linear, nn.Conv2d))
    }
    assert all(line.reason for line in report.kept)
    checked = conductance.check(report.model, example)
    assert checked.ok or all("dead" in line or "saturated" in line for line in checked.problems), checked.problems
    # Other data, three times as large: still in range, for nothing is merely what was seen.
    if not images and signed:
        model_out = report.model.eval()(3 * example)
        assert model_out.isfinite().all()


# Ranges ---------------------------------------------------------------------------------------------------------------


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


# Refusals -------------------------------------------------------------------------------------------------------------


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.q, self.k, self.v, self.out, self.head = (nn.Linear(8, 8) for _ in range(5))

    def forward(self, x):
        q, k, v = self.q(x), self.k(x), self.v(x)
        return self.head(F.relu(self.out(F.scaled_dot_product_attention(q, k, v))))


def test_attention_is_left_alone_unless_it_is_asked_for():
    example = torch.rand(3, 5, 8)
    report = conductance.convert(Attention(), example)
    assert [line.name for line in report.layers] == ["out"]
    assert all("attention" in line.reason and line.remedy for line in report.kept[:3])
    chosen = conductance.convert(Attention(), example, select=lambda name, _: {} if name in "qkv" else True)
    assert [line.name for line in chosen.layers] == ["q", "k", "v", "out"]
    assert_faithful(chosen, example)


class ReadsWeights(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x):
        return self.c(F.relu(self.a(x)) + F.linear(x, self.b.weight) + self.b(x))


def test_what_cannot_be_converted_faithfully_is_listed_with_reason_and_remedy():
    example = torch.rand(3, 5, 4)
    kept = {line.name: line for line in conductance.convert(ReadsWeights(), example).kept}
    assert "other code reads its parameters" in kept["b"].reason
    assert kept["b"].remedy
    tied = nn.Sequential(
        nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4)
    )
    tied[2].weight = tied[4].weight
    kept = {line.name: line for line in conductance.convert(tied, example).kept}
    assert "shares its parameters" in kept["2"].reason
    circular = nn.Sequential(
        nn.Conv1d(5, 5, 3, padding=1, padding_mode="circular"), nn.ReLU(), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2)
    )
    kept = {line.name: line for line in conductance.convert(circular, example).kept}
    assert "padding_mode" in kept["0"].reason
    hooked = mlp(nn.ReLU(), nn.ReLU(), widths=(4, 4, 4, 4))
    hooked[2].register_forward_hook(lambda *_: None)
    kept = {line.name: line for line in conductance.convert(hooked, example).kept}
    assert "hooks" in kept["2"].reason


@pytest.mark.parametrize("norm_first", [False, True])
def test_an_encoder_layers_feed_forward_part_is_converted_and_its_attention_is_not(norm_first):
    block = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=norm_first)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), block, nn.Linear(8, 2))
    example = torch.rand(2, 5, 4)
    report = conductance.convert(model, example)
    assert [line.name for line in report.layers] == ["0", "2.linear1", "2.linear2"]
    assert "reads its weights by itself" in {line.name: line.reason for line in report.kept}["2.self_attn.out_proj"]
    outputs = [report.model(example)]
    with torch.no_grad():  # where torch would multiply by the layers' weights without calling them
        outputs.append(report.model.eval()(example))
    with conductance.validate(report.model):
        outputs.append(report.model(example))
    torch.testing.assert_close(outputs[1], outputs[2])
    assert outputs[0].shape == outputs[1].shape


@pytest.mark.parametrize(
    ("model", "example", "options", "said"),
    [
        (nn.Sequential(nn.ReLU()), torch.rand(2, 3), {}, "no layer to convert"),
        (mlp(nn.ReLU(), nn.ReLU()), torch.rand(2, 5), {}, "cannot take the example, of shape \\(2, 5\\)"),
        (mlp(nn.ReLU(), nn.ReLU()), torch.full((2, 6), float("nan")), {}, "NaN"),
        (mlp(nn.ReLU(), nn.ReLU()), "image.png", {}, "a batch holds a str"),
        (mlp(nn.ReLU(), nn.ReLU()), (torch.rand(2, 6), torch.rand(2, 6)), {}, "does not take it"),
        (mlp(nn.ReLU(), nn.ReLU()), torch.rand(2, 6), {"keep": ("fc",)}, "keep has 'fc'"),
        (mlp(nn.ReLU(), nn.ReLU()), torch.rand(2, 6), {"keep": "fc"}, "keep='fc'; give a sequence of strings"),
        (mlp(nn.ReLU(), nn.ReLU()), torch.rand(2, 6), {"select": lambda *_: None}, "returned None"),
        (mlp(nn.ReLU(), nn.ReLU()), torch.rand(2, 6), {"normalization": "off"}, "unknown normalization 'off'"),
        (mlp(nn.ReLU(), nn.ReLU()), torch.rand(2, 6), {"activations": "off"}, "unknown activations"),
        (mlp(nn.ReLU(), nn.ReLU()), torch.rand(2, 6), {"colour": "red"}, "no option 'colour'"),
        (nn.Linear(4, 2), torch.rand(2, 4), {}, "readout"),
        (nn.Linear(4, 2), torch.rand(2, 4), {"keep": (), "inplace": True}, "in place"),
        (Attention(), None, {}, "give an example"),
        (nn.Sequential(nn.LazyLinear(4), nn.ReLU(), nn.LazyLinear(2)), None, {}, "run the model on a batch first"),
        (mlp(nn.ReLU(), nn.ReLU()), torch.utils.data.DataLoader([]), {}, "without batches"),
        (mlp(nn.ReLU(), nn.ReLU()), torch.rand(0, 6), {}, "of shape \\(0, 6\\), holds no samples"),
        (mlp(nn.ReLU(), nn.ReLU()), torch.rand(2, 6), {"keep": (3,)}, "give a sequence of strings or types"),
        (mlp(nn.ReLU(), nn.ReLU()), torch.rand(2, 6), {"select": "0"}, "select='0'; give a function"),
    ],
)
def test_mistakes_are_answered_in_one_line(model, example, options, said):
    with pytest.raises(ConductanceError, match=said) as refused:
        conductance.convert(model, example, **options)
    assert "\n" not in str(refused.value)


def test_the_report_is_a_table():
    shown = str(conductance.convert(mlp(nn.GELU(), nn.ReLU()), torch.rand(9, 6)))
    assert shown.splitlines()[0].split() == ["layer", "kind", "reads", "returns", "dead", "E:I"]
    assert "z, then GELU" in shown
    assert "a readout" in shown
    assert "fused: 3" in shown


def test_converting_warns_of_nothing_and_is_repeatable():
    example = torch.rand(9, 6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        outputs = []
        for _ in range(2):
            torch.manual_seed(3)
            outputs.append(conductance.convert(mlp(nn.ReLU(), nn.ReLU()), example).model(example))
    assert torch.equal(*outputs)


def test_kinds_of_layers():
    assert isinstance(conductance.convert(nn.Conv1d(2, 2, 3), torch.rand(2, 2, 5), keep=()).model, CWAConv1d)
    assert isinstance(conductance.convert(nn.Conv3d(2, 2, 2), torch.rand(2, 2, 3, 3, 3), keep=()).model, CWAConv3d)


@pytest.mark.parametrize("empty", [(), [], {}])
def test_an_empty_example_is_named(empty):
    with pytest.raises(InputError, match="the example is empty"):
        conductance.convert(mlp(nn.ReLU(), widths=(6, 8, 4)), empty)
