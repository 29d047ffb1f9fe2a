"""Networks of others: what convert put into them is said layer by layer, and put into them again."""

import copy
import re

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

import conductance
from conductance.errors import SavedNetworkError

SEVERAL = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Own(nn.Module):
    """As users write them: a residual sum, norms, activations in place, a LayerNorm, a module at two places."""

    def __init__(self, width=8, norm=True, activation=nn.ReLU):
        super().__init__()
        self.stem = nn.Conv2d(1, width, 3, padding=1)
        self.norm = nn.BatchNorm2d(width) if norm else nn.Identity()
        self.activation = activation(inplace=True) if activation is nn.ReLU else activation()
        self.body = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.ReLU(inplace=True))
        self.same = self.body[0]
        self.layer_norm = nn.LayerNorm(width)
        self.mix = nn.Linear(width, width)
        self.readout = nn.Linear(width, 10)

    def forward(self, images):
        x = self.activation(self.norm(self.stem(images)))
        x = torch.relu(self.same(self.body(x) + x))
        return self.readout(self.mix(self.layer_norm(x.mean((2, 3)))))


@st.composite
def conversions(draw):
    options = {
        "width": draw(st.sampled_from([2, 4, 6])),
        "norm": draw(st.booleans()),
        "activation": draw(st.sampled_from([nn.ReLU, nn.GELU, nn.Tanh])),
    }
    choices = {
        "normalization": draw(st.sampled_from(["drop", "keep"])),
        "activations": draw(st.sampled_from(["fuse", "replace", "keep"])),
        "keep": draw(st.sampled_from([("last_linear",), ("last_linear", "mix"), ()])),
        "nonnegative": draw(st.sampled_from(["clamped", "softplus"])),
        "learn_resting": draw(st.booleans()),
    }
    return options, choices


def assert_same(model, loaded, images):
    before, after = model.state_dict(), loaded.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert [(name, type(part)) for name, part in model.named_modules(remove_duplicate=False)] == [
        (name, type(part)) for name, part in loaded.named_modules(remove_duplicate=False)
    ]
    flags = [getattr(part, "inplace", None) for part in model.modules()]
    assert flags == [getattr(part, "inplace", None) for part in loaded.modules()]
    model.eval()
    assert torch.equal(model(images), loaded(images))
    for each in (model.train(), loaded.train()):
        each(images).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter.grad, loaded.get_parameter(name).grad), name


@SEVERAL
@given(made=conversions())
def test_into_the_original_and_into_one_that_is_converted(made, tmp_path):
    options, choices = made
    images = torch.rand(12, 1, 6, 6)
    model = conductance.convert(Own(**options), images, **choices).model
    folder = conductance.save(model, tmp_path / "saved", overwrite=True)
    original = Own(**options)
    loaded = conductance.load(folder, into=original)
    assert loaded is original
    converted = conductance.load(folder, into=conductance.convert(Own(**options), images, **choices).model)
    assert_same(copy.deepcopy(model), loaded, images)
    assert_same(model, converted, images)


def test_a_converted_sequential_needs_no_code(tmp_path):
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 10))
    images = torch.rand(8, 1, 6, 6)
    model = conductance.convert(network, images).model
    assert_same(model, conductance.load(conductance.save(model, tmp_path / "saved")), images)


def test_so_does_a_converted_network_of_this_package(tmp_path):
    images = torch.rand(8, 1, 8, 8)
    affine = conductance.create_model("cnn", "affine_bn", (1, 8, 8), widths=(4, 6))
    model = conductance.convert(affine, images).model
    assert_same(model, conductance.load(conductance.save(model, tmp_path / "saved")), images)


def test_a_network_of_transformers(tmp_path):
    transformers = pytest.importorskip("transformers")
    config = transformers.ResNetConfig(
        num_channels=1, embedding_size=4, hidden_sizes=[4, 6], depths=[1, 1], layer_type="basic", num_labels=10
    )
    images = torch.rand(6, 1, 16, 16)
    model = conductance.convert(transformers.ResNetForImageClassification(config), images).model.eval()
    folder = conductance.save(model, tmp_path / "saved")
    loaded = conductance.load(folder, into=transformers.ResNetForImageClassification(config))
    assert torch.equal(model(images).logits, loaded(images).logits)


def test_with_its_preprocessing(tmp_path):
    images = torch.rand(8, 1, 6, 6)
    model = conductance.convert(Own(), images).model
    preprocessing = conductance.data.Preprocessing("scaled", 1)
    folder = conductance.save(model, tmp_path / "saved", preprocessing=preprocessing, classes=list("abcdefghij"))
    loaded = conductance.load(folder, into=Own())
    pixels = torch.randint(0, 256, (3, 1, 6, 6), dtype=torch.uint8)
    assert torch.equal(loaded(pixels), model.eval()(preprocessing(pixels)))


def untouched(network):
    return {name: value.clone() for name, value in network.state_dict().items()}, repr(network), network.training


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (lambda: Own(width=4), r"another network: \S+ is .* in the file and .* in the network"),
        (lambda: nn.Linear(3, 3), r"the Linear given as into .* has no module"),
        (lambda: nn.Sequential(Own()), "has no module stem"),
    ],
)
def test_another_architecture_is_one_line_and_nothing_is_changed(other, told, tmp_path):
    folder = conductance.save(conductance.convert(Own(), torch.rand(8, 1, 6, 6)).model, tmp_path / "saved")
    network = other()
    state, text, mode = untouched(network)
    with pytest.raises(SavedNetworkError, match=told) as raised:
        conductance.load(folder, into=network)
    assert "\n" not in str(raised.value)
    assert (repr(network), network.training) == (text, mode)
    assert all(torch.equal(value, network.state_dict()[name]) for name, value in state.items())


def test_without_the_network_that_is_to_be_made_it_is_one_line(tmp_path):
    folder = conductance.save(conductance.convert(Own(), torch.rand(8, 1, 6, 6)).model, tmp_path / "saved")
    with pytest.raises(SavedNetworkError, match=re.escape(f"holds a {Own.__module__}.Own")) as raised:
        conductance.load(folder)
    assert "into=" in str(raised.value)


def test_a_network_without_values_is_refused(tmp_path):
    folder = conductance.save(conductance.convert(Own(), torch.rand(8, 1, 6, 6)).model, tmp_path / "saved")
    with torch.device("meta"):
        network = Own()
    with pytest.raises(conductance.ConductanceError, match="on the meta device"):
        conductance.load(folder, into=network)
    with pytest.raises(conductance.ConductanceError, match="on the meta device"):
        conductance.save(network, tmp_path / "other")


def test_a_whole_network_can_be_loaded_into_one_of_the_same_layers(tmp_path):
    model = nn.Sequential(conductance.nn.CWALinear(4, 3))
    folder = conductance.save(model, tmp_path / "saved")
    other = nn.Sequential(conductance.nn.CWALinear(4, 3))
    assert conductance.load(folder, into=other) is other
    assert torch.equal(other[0].g, model[0].g)
    with pytest.raises(SavedNetworkError, match=r"the valences of its presynaptic channels differs"):
        conductance.load(folder, into=nn.Sequential(conductance.nn.CWALinear(4, 3, valence=[1, -1, 1, -1])))


def test_a_layer_of_an_own_class_is_left_to_its_code(tmp_path):
    class Louder(conductance.nn.CWALinear):
        def forward(self, p, extra_conductances=None):
            return super().forward(p, extra_conductances) / 2

    model = nn.Sequential(Louder(4, 3), conductance.nn.CWALinear(3, 3))
    folder = conductance.save(model, tmp_path / "saved")
    with pytest.raises(SavedNetworkError, match="into=network"):
        conductance.load(folder)
    p = torch.rand(5, 4)
    loaded = conductance.load(folder, into=nn.Sequential(Louder(4, 3), nn.Linear(3, 3)))
    assert torch.equal(model.eval()(p), loaded(p))
