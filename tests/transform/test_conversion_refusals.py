"""What is not converted, and how mistakes are answered."""

import warnings

import pytest
import torch
from converted_networks import assert_faithful, mlp
from torch import nn
from torch.nn import functional as F

import conductance
from conductance.errors import ConductanceError, InputError
from conductance.nn import CWAConv1d, CWAConv3d


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
