"""Pruned, weight-normalized and spectrally normalized layers: every rule moves all of their parameters."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import prune
from torch.nn.utils.parametrizations import orthogonal, spectral_norm, weight_norm

from conductance.errors import InputError
from conductance.nn import CWAConv2d, CWALinear
from conductance.optim import Centering, Homeostasis, create_optimizer, hidden_synapses


class Halved(nn.Module):
    """A parametrization whose original has another shape."""

    def forward(self, half):
        return torch.cat([half, half])

    def right_inverse(self, weight):
        return weight[: len(weight) // 2]


CHANGES = {
    "nothing": lambda *_: None,
    "pruned": lambda layer, name: prune.random_unstructured(layer, name, 0.3),
    "pruned twice": lambda layer, name: [prune.random_unstructured(layer, name, 0.2) for _ in range(2)],
    "pruned units": lambda layer, name: prune.ln_structured(layer, name, 0.2, 1, 0),
    "weight_norm": weight_norm,
    "spectral_norm": spectral_norm,
    "halved": lambda layer, name: nn.utils.parametrize.register_parametrization(layer, name, Halved()),
    "old weight_norm": nn.utils.weight_norm,
    "old spectral_norm": nn.utils.spectral_norm,
}


def network(convolution=False, form="clamped"):
    torch.manual_seed(0)
    options = {"nonnegative": form, "learn_resting": True}
    first = CWAConv2d(2, 8, 3, **options) if convolution else CWALinear(8, 8, **options)
    flat = nn.Flatten() if convolution else nn.Identity()
    x = torch.rand(8, 2, 3, 3) if convolution else torch.rand(8, 8)
    return nn.Sequential(first, flat, nn.Linear(8, 8), nn.Linear(8, 3)), x


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated:FutureWarning")
@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(["muon", "adam", "sgd"]),
    st.sampled_from([name for name in CHANGES if "norm" not in name and name != "halved"]),
    st.sampled_from(list(CHANGES)),
    st.booleans(),
    st.sampled_from(["clamped", "rectified", "softplus"]),
)
def test_all_parameters_learn_and_no_conductance_is_negative(rule, of_conductances, of_weights, convolution, form):
    model, x = network(convolution, form)
    CHANGES[of_conductances](model[0], "g")
    CHANGES[of_weights](model[2], "weight")
    optimizer = create_optimizer(model, rule)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    for _ in range(3):
        optimizer.zero_grad()
        model(x).square().sum().backward()
        optimizer.step()
    assert not [name for name, parameter in model.named_parameters() if torch.equal(parameter, before[name])]
    assert all(parameter.isfinite().all() for parameter in model.parameters())
    model(x)
    assert bool((model[0].conductance >= 0).all())
    if of_conductances != "nothing":
        assert not model[0].conductance[model[0].g_mask == 0].any()


def test_the_size_of_pruned_layers_is_that_of_what_is_left():
    layer = CWALinear(8, 6)
    layer.set_conductance(torch.full((6, 8), 2.0))
    prune.random_unstructured(layer, "g", 0.5)
    (synapses,) = hidden_synapses(layer)
    assert (synapses.name, synapses.size) == ("g_orig", 2.0)
    assert synapses.parameter is layer.g_orig
    assert synapses.mask is layer.g_mask


@pytest.mark.parametrize(("change", "name"), [
    (weight_norm, "parametrizations.weight.original1"),
    (spectral_norm, "parametrizations.weight.original"),
    (orthogonal, "parametrizations.weight.original"),
])  # fmt: skip
def test_looking_at_a_parametrized_layer_leaves_it_as_it_is(change, name):
    model = nn.Sequential(change(nn.Linear(6, 6)), nn.Linear(6, 2))
    before = {key: value.clone() for key, value in model.state_dict().items()}
    (synapses,) = hidden_synapses(model)
    assert synapses.name == name
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(module.training for module in model.modules())


def test_pruning_after_the_optimizer_was_made_keeps_its_parameters():
    model, x = network()
    optimizer = create_optimizer(model)
    prune.l1_unstructured(model[0], "g", 0.3)
    before = model[0].g_orig.detach().clone()
    model(x).square().sum().backward()
    optimizer.step()
    assert not torch.equal(model[0].g_orig, before)


def test_centered_gradients_of_pruned_layers_keep_the_means_of_what_is_left():
    layer = CWALinear(8, 5, dtype=torch.float64)
    prune.random_unstructured(layer, "g", 0.4)
    p = torch.rand(16, 8, dtype=torch.float64)
    optimizer = torch.optim.SGD(layer.parameters(), lr=1e-3)
    Centering(optimizer, layer)
    layer(p).square().sum().backward()
    optimizer.step()
    gradient = layer.g_orig.grad * layer.g_mask
    assert gradient.abs().max() > 1e-6
    for kind in (slice(0, 4), slice(4, 8)):
        torch.testing.assert_close(gradient[:, kind] @ p.mean(0)[kind], torch.zeros(5, dtype=torch.float64))


def test_homeostasis_balances_pruned_layers():
    layer = CWALinear(8, 5, dtype=torch.float64)
    prune.random_unstructured(layer, "g", 0.3)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.0)
    Homeostasis(optimizer, layer, rate=1.0)
    p = torch.rand(16, 8, dtype=torch.float64)
    layer(p)
    optimizer.step()
    layer(p)  # pruning computes g anew before each forward pass
    drive = layer.conductance * p.mean(0)
    torch.testing.assert_close(drive[:, :4].sum(1), drive[:, 4:].sum(1))
    assert torch.equal(layer.conductance == 0, layer.g_mask == 0)


def test_rules_that_need_the_conductances_themselves_say_so():
    model, _ = network()
    weight_norm(model[2])
    with pytest.raises(InputError, match="cannot be centered"):
        create_optimizer(model, centered=True)
    with pytest.raises(InputError, match="eg multiplies conductances"):
        create_optimizer(model, "eg")
    layer = spectral_norm(CWALinear(4, 4), "g")
    with pytest.raises(InputError, match="homeostasis cannot set them"):
        Homeostasis(torch.optim.SGD(layer.parameters()), layer, 0.5)
