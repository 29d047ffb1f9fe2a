"""Frozen copies for inference: the same outputs, nothing left to learn or to compute anew."""

from functools import partial

import pytest
import torch
from torch import nn

from conductance import init, optim
from conductance.errors import InputError
from conductance.models import ARCHITECTURES, FAMILIES, create_model
from conductance.nn import (
    AbsNormConv2d,
    AbsNormLinear,
    ConductanceLayer,
    CWAConv1d,
    CWAConv2d,
    CWALinear,
    SignedInput,
    SignedLayer,
)
from conductance.transform import FrozenAverage, freeze

LAYERS = {
    "linear": (lambda **o: CWALinear(6, 4, **o), (5, 6)),
    "linear, any batch shape": (lambda **o: CWALinear(6, 4, **o), (2, 3, 6)),
    "linear, 80 % excitatory": (lambda **o: CWALinear(10, 4, excitatory_share=0.8, **o), (5, 10)),
    "linear, mixed order": (lambda **o: CWALinear(6, 4, valence=[1, -1, 1, -1, -1, 1], **o), (5, 6)),
    "linear, graded": (lambda **o: CWALinear(6, 4, valence=[1, -1, 1, -1, 0.5, 1], **o), (5, 6)),
    "linear, many valences": (lambda **o: CWALinear(12, 4, valence=torch.linspace(-1, 1, 12), **o), (5, 12)),
    "linear, doubled": (lambda **o: CWALinear(6, 4, doubled_input=True, **o), (5, 6)),
    "linear, pooled": (lambda **o: CWALinear(6, 4, pooled_interneuron=True, **o), (5, 6)),
    "conv, pooled": (lambda **o: CWAConv2d(4, 6, 3, pooled_interneuron=True, **o), (2, 4, 8, 8)),
    "conv1d": (lambda **o: CWAConv1d(4, 6, 3, **o), (2, 4, 9)),
    "conv": (lambda **o: CWAConv2d(4, 6, 3, 2, 1, **o), (2, 4, 8, 8)),
    "conv, one image": (lambda **o: CWAConv2d(4, 6, 3, 2, 1, **o), (4, 8, 8)),
    "conv, 80 % excitatory": (lambda **o: CWAConv2d(5, 6, 3, excitatory_share=0.8, **o), (2, 5, 8, 8)),
    "conv, mixed order": (lambda **o: CWAConv2d(4, 6, 3, valence=[1, -1, -1, 1], **o), (2, 4, 8, 8)),
    "conv, doubled": (lambda **o: CWAConv2d(3, 6, 5, 2, 2, doubled_input=True, **o), (2, 3, 8, 8)),
    "conv, groups": (lambda **o: CWAConv2d(4, 6, 3, groups=2, **o), (2, 4, 8, 8)),
    "conv, doubled, groups": (lambda **o: CWAConv2d(4, 6, 3, groups=2, doubled_input=True, **o), (2, 4, 8, 8)),
    "absnorm": (lambda **o: AbsNormLinear(6, 4, **o), (5, 6)),
    "absnorm conv, groups": (lambda **o: AbsNormConv2d(4, 6, 3, groups=2, **o), (2, 4, 8, 8)),
}


def trained(model, shape):
    """Away from the start: heavy-tailed conductances, running statistics and BatchNorm's own parameters drawn."""
    init.lognormal_(model)
    for norm in model.modules():
        if isinstance(norm, (nn.BatchNorm1d, nn.BatchNorm2d)):
            nn.init.normal_(norm.weight)
            nn.init.normal_(norm.bias)
    model.train()
    model(torch.rand(8, *shape))
    return model.eval()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_frozen_networks_give_the_same_outputs(architecture, family):
    shape = (3, 9, 9)
    model = trained(create_model(architecture, family, shape, 3, widths=(8, 12)), shape)
    images = torch.rand(4, *shape)
    wanted = model(images)
    frozen = freeze(model.train())
    torch.testing.assert_close(frozen(images), wanted, rtol=1e-5, atol=1e-5)
    kinds = {type(module) for module in frozen.modules()}
    if family != "cwa_li":  # its rollout is a forward of its own
        assert not any(issubclass(kind, (ConductanceLayer, SignedLayer)) for kind in kinds)
    assert not kinds & {nn.BatchNorm1d, nn.BatchNorm2d}
    assert not any(parameter.requires_grad for parameter in frozen.parameters())
    assert not frozen.training


@pytest.mark.parametrize("form", ["rectified", "softplus", "clamped"])
@pytest.mark.parametrize("activation", [None, "relu"])
@pytest.mark.parametrize("name", LAYERS)
def test_frozen_layers_give_the_same_outputs(name, activation, form):
    build, shape = LAYERS[name]
    options = {} if name.startswith("absnorm") else {"nonnegative": form}
    layer = build(activation=activation, resting_conductance=0.3, resting_potential=-0.4, **options)
    init.lognormal_(layer)
    p = torch.rand(shape)
    frozen = freeze(layer)
    assert isinstance(frozen, FrozenAverage)
    assert not list(frozen.parameters())
    torch.testing.assert_close(frozen(p), layer(p), rtol=1e-5, atol=1e-6)
    with torch.inference_mode():
        torch.testing.assert_close(frozen(p), layer(p), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("family", ["cwa", "cwa_bn", "absnorm"])
def test_pooled_interneurons_are_folded_with_all_that_follows(architecture, family):
    shape, options = (3, 9, 9), {"pooled_interneuron": True}
    model = trained(create_model(architecture, family, shape, 3, widths=(8, 12), layer_options=options), shape)
    images = torch.rand(4, *shape)
    frozen = freeze(model)
    torch.testing.assert_close(frozen(images), model(images), rtol=1e-5, atol=1e-5)
    averages = [module for module in frozen.modules() if isinstance(module, FrozenAverage)]
    assert averages
    assert all(each.pooled_interneuron for each in averages)
    assert not any(isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)) for module in frozen.modules())
    p = torch.rand(4, 3, 9, 9).flatten(1) if architecture == "fcn" else images
    layer, first = next(init.conductance_layers(model), None), averages[0]
    if layer is not None:
        for mine, theirs in zip(first.excitation_inhibition(p), layer.excitation_inhibition(p), strict=True):
            torch.testing.assert_close(mine, theirs)


@pytest.mark.parametrize("name", LAYERS)
def test_a_frozen_layer_has_the_conductances_of_the_layer(name):
    layer = LAYERS[name][0]()
    if isinstance(layer, ConductanceLayer):
        init.lognormal_(layer)
    frozen = freeze(layer)
    torch.testing.assert_close(frozen.weight, layer.weight)
    assert frozen.bias is None
    assert (frozen.in_features, frozen.out_features) == (layer.in_channels, layer.out_channels)


def test_conductances_that_were_added_up_cannot_be_read():
    layer = CWALinear(2, 3, doubled_input=True, valence=[1, 0.5, -1, -0.5])
    with pytest.raises(InputError, match="read conductances from the layer before it is frozen"):
        freeze(layer).weight  # noqa: B018


def test_a_host_that_reads_weights_finds_them_in_a_frozen_layer():
    class Host(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = CWALinear(6, 4, valence=[1, -1, 1, -1, -1, 1])

        def forward(self, p):
            if p.sum() < 1e3:  # which torch.fx cannot follow
                p = p.to(self.layer.weight.dtype)
            return self.layer(p) * self.layer.weight[0, 1]

    model, p = Host().double(), torch.rand(3, 6)
    frozen = freeze(model)
    assert isinstance(frozen.layer, FrozenAverage)
    torch.testing.assert_close(frozen(p), model(p))


def test_the_original_stays_as_it_was():
    model = create_model("cnn", "cwa_bn", (3, 9, 9), 3, widths=(8, 12))
    model(torch.rand(2, 3, 9, 9)).sum().backward()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    kinds = [type(module) for module in model.modules()]
    freeze(model)
    after = model.state_dict()
    assert [type(module) for module in model.modules()] == kinds
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
    assert all(p.requires_grad and p.grad is not None for p in model.parameters())
    assert model.training


@pytest.mark.parametrize("family", FAMILIES)
def test_freezing_twice_is_freezing_once(family):
    model = trained(create_model("resnet18", family, (3, 9, 9), 3, widths=(8, 12)), (3, 9, 9))
    once = freeze(model)
    twice = freeze(once)
    assert str(twice) == str(once)
    images = torch.rand(2, 3, 9, 9)
    assert torch.equal(twice(images), once(images))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_frozen_network_is_restored_from_its_state_dict(family, tmp_path):
    images = torch.rand(2, 3, 9, 9)
    one, other = (trained(create_model("cnn", family, (3, 9, 9), 3, widths=(8, 12)), (3, 9, 9)) for _ in range(2))
    one, other = freeze(one), freeze(other)
    assert not torch.equal(one(images), other(images))
    torch.save(one.state_dict(), tmp_path / "weights.pt")
    other.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    assert torch.equal(one(images), other(images))


def test_a_state_dict_of_the_first_version_is_loaded():
    layer, other = CWALinear(4, 3), freeze(CWALinear(4, 3))
    frozen = freeze(layer)
    former = {{"packed": "conductance"}.get(name, name): value for name, value in frozen.state_dict().items()}
    other.load_state_dict(former)
    assert torch.equal(other.packed, frozen.packed)
    assert set(former) == {"conductance", "leak"}


def test_gradients_of_the_input_are_those_of_the_original():
    model = trained(create_model("resnet18", "cwa_bn", (3, 9, 9), 3, widths=(8, 12)), (3, 9, 9)).double()
    images = torch.rand(2, 3, 9, 9, dtype=torch.float64, requires_grad=True)
    gradients = [torch.autograd.grad(m(images).square().sum(), images)[0] for m in (model, freeze(model))]
    torch.testing.assert_close(*gradients)


def test_what_stands_in_several_places_or_is_watched_stays():
    shared, watched = CWALinear(4, 4), CWALinear(4, 4)
    norm = nn.BatchNorm1d(4)
    model = nn.Sequential(shared, norm, shared, nn.ReLU(), watched, nn.ReLU()).eval()
    seen = []
    watched.register_forward_hook(lambda *_: seen.append(1))
    frozen = freeze(model)
    assert frozen[0] is frozen[2]
    assert isinstance(frozen[0], FrozenAverage)
    assert isinstance(frozen[1], nn.BatchNorm1d)
    assert isinstance(frozen[4], CWALinear)
    p = torch.rand(3, 4)
    torch.testing.assert_close(frozen(p), model(p))
    assert len(seen) == 2


def test_what_acts_in_training_alone_does_not_count_as_watching():
    model = nn.Sequential(CWALinear(4, 4), nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    optim.create_optimizer(model, centered=True)
    frozen = freeze(model)
    assert isinstance(frozen[0], FrozenAverage)
    assert isinstance(frozen[2], nn.Identity)
    assert not any(module._forward_pre_hooks for module in frozen.modules())
    p = torch.rand(3, 4)
    torch.testing.assert_close(frozen(p), model.eval()(p))


def test_batchnorm_without_running_statistics_is_not_folded():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False), nn.ReLU()).eval()
    images = torch.rand(2, 3, 6, 6)
    torch.testing.assert_close(freeze(model)(images), model(images))


def test_batchnorm_without_scale_and_shift_is_folded():
    model = nn.Sequential(
        CWALinear(4, 3, activation=None), nn.BatchNorm1d(3, affine=False), nn.Linear(3, 2), nn.BatchNorm1d(2)
    ).train()
    p = torch.rand(9, 4)
    model(p)
    frozen = freeze(model)
    assert isinstance(frozen[0], FrozenAverage)
    assert isinstance(frozen[1], nn.Identity)
    assert isinstance(frozen[3], nn.Identity)
    torch.testing.assert_close(frozen(p), model.eval()(p))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("family", FAMILIES)
def test_frozen_networks_export_with_any_batch_size(family):
    frozen = freeze(trained(create_model("resnet18", family, (3, 9, 9), 3, widths=(8, 12)), (3, 9, 9)))
    batch = torch.export.Dim("batch", min=2, max=64)
    exported = torch.export.export(frozen, (torch.rand(3, 3, 9, 9),), dynamic_shapes=({0: batch},)).module()
    images = torch.rand(5, 3, 9, 9)
    torch.testing.assert_close(exported(images), frozen(images))


@pytest.mark.parametrize("family", ["cwa", "cwa_bn", "absnorm"])
def test_autocast_is_as_near_as_for_the_original(family):
    model = trained(create_model("cnn", family, (3, 9, 9), 3, widths=(8, 12)), (3, 9, 9))
    images = torch.rand(4, 3, 9, 9)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(freeze(model)(images), model(images), rtol=0.02, atol=0.02)


def test_frozen_convolutions_keep_channels_last():
    model = create_model("cnn", "cwa", (3, 9, 9), 3, widths=(8, 12)).to(memory_format=torch.channels_last)
    seen = []
    frozen = freeze(model)
    frozen.hidden[1].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    frozen(torch.rand(2, 3, 9, 9).to(memory_format=torch.channels_last))
    assert frozen.hidden[1].packed.is_contiguous(memory_format=torch.channels_last)
    assert seen[0].is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("build", [partial(CWALinear, activation=None), nn.Linear])
def test_a_batchnorm_that_would_normalize_another_axis_is_not_silently_misplaced(build):
    model = nn.Sequential(build(6, 4), nn.BatchNorm1d(4)).eval()
    nn.init.uniform_(model[1].running_mean)
    frozen = freeze(model)
    torch.testing.assert_close(frozen(p := torch.rand(5, 6)), model(p))
    with pytest.raises(InputError, match=r"takes \(N, features\) and was given \(5, 4, 6\)"):
        frozen(torch.rand(5, 4, 6))
    over_length = nn.Sequential(build(6, 4), nn.BatchNorm1d(3)).eval()
    nn.init.uniform_(over_length[1].running_mean)
    torch.testing.assert_close(freeze(over_length)(p := torch.rand(5, 3, 6)), over_length(p))


def test_a_batchnorm_after_sums_that_are_not_averaged_stays():
    model = nn.Sequential(CWALinear(6, 4, average=False), nn.BatchNorm1d(8)).eval()
    torch.testing.assert_close(freeze(model)(p := torch.rand(5, 6)), model(p))


def test_a_forward_of_the_instance_itself_is_kept():
    layer = CWALinear(4, 4)
    layer.forward = lambda p: p + 1
    assert torch.equal(freeze(layer)(torch.zeros(2, 4)), torch.ones(2, 4))


@pytest.mark.parametrize("groups", [1, 2])
def test_a_layer_that_reads_signed_values_is_frozen_with_its_groups(groups):
    linear = nn.Sequential(SignedInput(CWALinear(8, 4, doubled_input=True), 2.0))
    convolution = nn.Sequential(SignedInput(CWAConv2d(8, 4, 3, groups=groups, doubled_input=True), 2.0))
    for model, x in ((linear, torch.randn(3, 4)), (convolution, torch.randn(3, 4, 5, 5))):
        frozen = freeze(model)
        assert isinstance(frozen[0].layer, FrozenAverage)
        torch.testing.assert_close(frozen(x), model(x))
