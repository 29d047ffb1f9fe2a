"""Any graph of affine layers becomes one of conductances: in range, wired rightly."""

import copy

import torch
from converted_networks import assert_faithful
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

import conductance

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
