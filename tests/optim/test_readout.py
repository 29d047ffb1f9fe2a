"""The readout is named, or found in the data flow, by its usual name, or as the last layer."""

import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from conductance.errors import InputError
from conductance.nn import CWAConv2d, CWALinear
from conductance.optim import create_optimizer, hidden_synapses
from conductance.optim.flow import data_flow
from conductance.optim.readout import readout_layers


class Graph(nn.Module):
    """Layers of 6 units, each fed by a mean of earlier ones; the output is a sum of affine heads.

    The layers are defined in random order, and shadowed by others that are never called.
    """

    def __init__(self, draw, units, heads, spare):
        super().__init__()
        kinds = [lambda: CWALinear(6, 6), lambda: nn.Linear(6, 6), lambda: AbsTwice(nn.Linear(6, 6))]
        self.order = [f"unit{number}" for number in range(units)]
        made = [(name, draw.choice(kinds)()) for name in self.order]
        self.heads = [f"head{number}" for number in range(heads)]
        made += [(name, nn.Linear(6, 3)) for name in self.heads]
        made += [(f"spare{number}", nn.Linear(6, 6)) for number in range(spare)]
        draw.shuffle(made)
        for name, layer in made:
            self.add_module(name, layer)
        self.feeds = {
            name: draw.sample(range(-1, number), draw.randint(1, number + 1)) for number, name in enumerate(self.order)
        }
        self.read = {name: draw.sample(range(units), draw.randint(1, units)) for name in self.heads}
        self.in_place = draw.random() < 0.5

    def forward(self, p):
        activity = {-1: p}
        for number, name in enumerate(self.order):
            received = torch.stack([activity[source] for source in self.feeds[name]]).mean(0)
            sent = self.get_submodule(name)(received)
            sent = sent.relu_().clamp_(max=1) if self.in_place else sent.relu().clamp(max=1)
            activity[number] = sent
        return sum(
            self.get_submodule(name)(torch.stack([activity[source] for source in self.read[name]]).sum(0))
            for name in self.heads
        )

    def wanted_depth(self):
        depth = {-1: 0}
        for number, name in enumerate(self.order):
            depth[number] = 1 + max(depth[source] for source in self.feeds[name])
        return 1 + max(depth[source] for sources in self.read.values() for source in sources)


class AbsTwice(nn.Module):
    """A layer inside another module."""

    def __init__(self, layer):
        super().__init__()
        self.inner = layer

    def forward(self, p):
        return self.inner(p).abs()


@settings(deadline=None, max_examples=60)
@given(st.randoms(use_true_random=False), st.integers(1, 5), st.integers(1, 2), st.integers(0, 2))
def test_in_a_random_graph_the_readout_is_what_the_output_comes_from(draw, units, heads, spare):
    graph = Graph(draw, units, heads, spare)
    graph.requires_grad_(draw.random() < 0.8)
    training = {module: draw.random() < 0.5 for module in graph.modules()}
    for module, mode in training.items():
        module.training = mode
    p = torch.rand(2, 6)
    wanted = {graph.get_submodule(name) for name in graph.heads}
    before = graph(p)
    flow = data_flow(graph, p)
    assert flow.outputs == wanted
    assert flow.depth == graph.wanted_depth()
    assert readout_layers(graph, example=p) == wanted
    assert torch.equal(graph(p), before)
    assert {module: module.training for module in graph.modules()} == training
    assert all(parameter.grad is None for parameter in graph.parameters())
    name = draw.choice(graph.heads)
    assert (
        readout_layers(graph, name) == readout_layers(graph, graph.get_submodule(name)) == {graph.get_submodule(name)}
    )


def test_steps_follow_what_is_named_and_what_is_seen():
    graph = Graph(random.Random(3), 3, 1, 1)
    head = graph.head0
    for how in (
        {"readout": "head0"},
        {"readout": head},
        {"example": torch.rand(2, 6)},
        {"example": {"p": torch.rand(2, 6)}},
    ):
        optimizer = create_optimizer(graph, readout_lr=0.017, **how)
        rates = {id(p): (group["rule"], group["lr"]) for group in optimizer.param_groups for p in group["params"]}
        assert rates[id(head.weight)] == ("adam", 0.017)
        assert all(rates[id(synapses.parameter)] == ("muon", 0.1) for synapses in hidden_synapses(graph, **how))
        hidden = {synapses.layer for synapses in hidden_synapses(graph, **how)}
        assert head not in hidden
        assert len(hidden) == 4


class Headed(nn.Module):
    """A network whose readout is defined before what feeds it."""

    def __init__(self, readout, name="readout"):
        super().__init__()
        self.add_module(name, readout)
        self.hidden = nn.Linear(4, 6)


@pytest.mark.parametrize(("model", "hidden"), [
    (Headed(nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 2))), [(6, 4)]),
    (nn.DataParallel(Headed(nn.Linear(6, 2))), [(6, 4)]),
    (Headed(None), []),
    (Headed(nn.Linear(6, 2), "fc"), [(6, 4)]),
    (Headed(nn.Linear(6, 2), "head"), [(6, 4)]),
    (Headed(nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 2)), "classifier"), [(5, 6), (6, 4)]),
    (nn.DataParallel(Headed(nn.Linear(6, 2), "classifier")), [(6, 4)]),
    (Headed(CWALinear(6, 6), "fc"), [(6, 6)]),
    (nn.Sequential(nn.Sequential(CWALinear(4, 6)), nn.Linear(6, 2)), [(6, 4)]),
    (nn.Sequential(nn.Linear(4, 6), CWALinear(6, 2)), [(6, 4), (2, 6)]),
    (nn.Sequential(CWALinear(4, 6), weight_norm(nn.Linear(6, 2))), [(6, 4)]),
])  # fmt: skip
def test_without_a_word_it_is_found_by_name_or_as_the_last_layer(model, hidden):
    assert [synapses.parameter.shape for synapses in hidden_synapses(model)] == hidden


def test_a_doubtful_guess_says_so():
    class Backwards(nn.Module):
        def __init__(self):
            super().__init__()
            self.out = nn.Linear(6, 2)
            self.units = CWALinear(4, 6)

        def forward(self, p):
            return self.out(self.units(p))

    model = Backwards()
    with pytest.warns(UserWarning, match="name the readout"):
        assert readout_layers(model) == {model.out}
    assert readout_layers(model, example=torch.rand(2, 4)) == {model.out}


def test_convolutions_inputs_by_position_and_structured_outputs():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.heads = nn.ModuleDict({name: nn.Linear(8, 2) for name in ("left", "right")})
            self.units = CWAConv2d(2, 8, 3)
            self.tokens = nn.Embedding(5, 8)

        def forward(self, images, tokens):
            p = self.units(images).mean((2, 3)) + self.tokens(tokens).sigmoid()
            return {"answers": [head(p) for head in self.heads.values()], "count": 2}

    model = Two()
    example = torch.rand(3, 2, 5, 5), torch.tensor([0, 1, 4])
    assert readout_layers(model, example=example) == set(model.heads.values())
    assert data_flow(model, example).depth == 2


@pytest.mark.parametrize(("how", "message"), [
    ({"readout": "out"}, "no module of that name"),
    ({"readout": nn.Linear(2, 2)}, "no module of the model"),
    ({"readout": "1"}, "no linear layer or convolution"),
])  # fmt: skip
def test_what_is_no_readout_is_refused(how, message):
    model = nn.Sequential(CWALinear(4, 6), nn.ReLU(), nn.Linear(6, 2))
    with pytest.raises(InputError, match=message):
        create_optimizer(model, **how)


def test_an_output_that_depends_on_nothing_is_refused():
    class Constant(nn.Linear):
        def forward(self, p):
            return super().forward(p).argmax(1)

    with pytest.raises(InputError, match="name it"):
        readout_layers(Constant(4, 2), example=torch.rand(3, 4))
