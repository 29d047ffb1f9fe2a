"""The paper's networks: shapes, sizes, families, shortcuts."""

import pytest
import torch
from torch import nn

import conductance
from conductance.errors import InputError, UnknownNameError
from conductance.models import ARCHITECTURES, FAMILIES, create_model
from conductance.models.resnet import ResidualBlock
from conductance.nn import ConductanceLayer, SignedLayer


def sizes(model):
    """(in, out) of every layer with synapses."""
    layers = [
        m
        for name, m in model.named_modules()
        if isinstance(m, (ConductanceLayer, SignedLayer, nn.Linear, nn.Conv2d))
        and not name.endswith(("interneurons", "feedback"))
    ]
    return [
        (m.in_channels, m.out_channels) if hasattr(m, "in_channels") else (m.in_features, m.out_features)
        for m in layers
    ]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    ("architecture", "shape", "wanted"),
    [
        ("fcn", (1, 28, 28), [(784, 2000), (2000, 2000), (2000, 10)]),
        ("fcn", (3, 32, 32), [(3072, 2000), (2000, 1000), (1000, 500), (500, 10)]),
        ("cnn", (1, 28, 28), [(1, 32), (32, 64), (64, 128), (128, 256), (1024, 10)]),
        ("cnn", (3, 32, 32), [(3, 32), (32, 64), (64, 128), (128, 256), (256, 512), (512, 10)]),
    ],
)
def test_sizes_are_the_papers(architecture, shape, wanted, family):
    with torch.device("meta"):
        model = create_model(architecture, family, shape, 10)
    assert sizes(model) == wanted
    assert model(torch.rand(2, *shape, device="meta")).shape == (2, 10)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (1, 9, 7)])
def test_wider_kernels_give_the_same_positions(shape):
    with torch.device("meta"):
        narrow, wide = (create_model("cnn", "affine", shape, widths=(4, 6, 8), kernel=kernel) for kernel in (3, 5))
    kernels = [m.kernel_size for m in wide.modules() if isinstance(m, nn.Conv2d)]
    assert kernels == [(5, 5)] * 3
    images = torch.rand(2, *shape, device="meta")
    assert wide.hidden(images).shape == narrow.hidden(images).shape


@pytest.mark.parametrize("family", FAMILIES)
def test_dropout_silences_hidden_units_while_training_and_scales_up_the_others(family):
    model = create_model("fcn", family, (1, 9, 9), 10, widths=(2000, 500), dropout=0.25)
    images, received = torch.rand(20, 1, 9, 9), []
    model.hidden[0].register_forward_hook(lambda _layer, _inputs, p: p.fill_(0.5))
    for layer in (model.hidden[1], model.readout):
        layer.register_forward_pre_hook(lambda _layer, inputs: received.append(inputs[0].detach()))
    model(images)
    of_first, of_second = received
    assert torch.equal(of_first.unique(), torch.tensor([0.0, 0.5 / 0.75]))
    assert float((of_first == 0).float().mean()) == pytest.approx(0.25, abs=0.02)
    assert not torch.equal(of_first[0] == 0, of_first[1] == 0)
    assert float((of_second == 0).float().mean()) >= 0.25
    received.clear()
    model.eval()(images)
    assert (received[0] == 0.5).all()


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_a_dropout_out_of_range_is_refused(share):
    with pytest.raises(InputError, match=f"dropout={share}"):
        create_model("fcn", "cwa", (1, 9, 9), dropout=share)


@pytest.mark.parametrize(("name", "size"), [("kernel", 4), ("first_kernel", 0), ("kernel", -1)])
def test_a_kernel_without_a_middle_is_refused(name, size):
    with pytest.raises(InputError, match=f"{name}={size}: must be odd, 1 or more"):
        create_model("cnn", "cwa", (1, 9, 9), **{name: size})


def test_resnet18_has_eighteen_layers_of_weights_and_three_projections():
    with torch.device("meta"):
        model = create_model("resnet18", "affine_bn", (3, 32, 32), 10)
    wide = sizes(model)
    assert len(wide) == 18 + 3
    assert sum(p.numel() for p in model.parameters()) == 11_173_962  # He et al.'s ResNet-18 at CIFAR size
    assert model(torch.rand(2, 3, 32, 32, device="meta")).shape == (2, 10)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_family_runs_forward_and_backward_in_every_architecture(architecture, family):
    model = create_model(architecture, family, (1, 9, 9), 3, widths=(6, 8))
    model(torch.rand(4, 1, 9, 9)).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_open_probabilities_stay_in_0_to_1_all_the_way(architecture):
    model = create_model(architecture, "cwa", (1, 9, 9), 3, widths=(6, 8))
    conductance.init.lognormal_(model)
    seen = []
    for module in model.modules():
        if isinstance(module, (ConductanceLayer, ResidualBlock, nn.Linear)):
            module.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    model(torch.rand(4, 1, 9, 9))
    assert len(seen) > 2
    assert all(float(p.min()) >= 0 and float(p.max()) <= 1 for p in seen)


def test_shortcuts_join_as_named():
    family = FAMILIES["cwa"]
    p = torch.rand(2, 4, 5, 5)
    for join, scale in (("sum", 1.0), ("mean", 0.5)):
        block = ResidualBlock(family, 4, 4, 1, join)
        torch.testing.assert_close(block(p), torch.relu((block.second(block.first(p)) + p) * scale))
    with pytest.raises(UnknownNameError, match="did you mean 'mean'"):
        create_model("resnet18", "cwa", (1, 9, 9), 3, shortcut="means")


def test_batchnorm_sits_between_z_and_its_rectification():
    unit = create_model("cnn", "cwa_bn", (1, 8, 8), 3, widths=(4,)).hidden[0]
    assert [type(m).__name__ for m in unit] == ["CWAConv2d", "BatchNorm2d", "ReLU"]
    assert unit[0].activation is None


def test_affine_layers_start_from_glorot_with_zero_bias():
    layer = create_model("fcn", "affine", (1, 20, 20), 3, widths=(300,)).hidden[0][0]
    assert float(layer.weight.detach().abs().max()) <= (6 / 700) ** 0.5
    assert int(layer.bias.count_nonzero()) == 0


def test_layer_options_reach_every_hidden_layer():
    model = create_model(
        "resnet18",
        "cwa",
        (1, 9, 9),
        3,
        widths=(4, 4),
        layer_options={"nonnegative": "rectified", "excitatory_share": 0.75},
    )
    layers = list(conductance.init.conductance_layers(model))
    assert {layer.nonnegative for layer in layers} == {"rectified"}
    assert [layer.doubled_input for layer in layers] == [True] + [False] * (len(layers) - 1)
    assert layers[1].valence.tolist() == [1, 1, 1, -1]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("cn", "cwa"), "unknown architecture 'cn'; did you mean"),
        (("cnn", "cwaa"), "unknown layer family 'cwaa'; did you mean 'cwa'"),
    ],
)
def test_unknown_names_name_the_nearest(arguments, complaint):
    with pytest.raises(UnknownNameError, match=complaint):
        create_model(*arguments)


def test_options_that_do_not_exist_are_refused_by_name():
    with pytest.raises(InputError, match="depth"):
        create_model("fcn", "cwa", (1, 4, 4), 3, depth=3)
    with pytest.raises(InputError, match=r"multiple values for .*'stride'"):
        create_model("cnn", "cwa", layer_options={"stride": 1})
    for option in ({"activation": "full_range"}, {"learn_gate": True}):
        with pytest.raises(InputError, match="cwa_bn: what BatchNorm gives is rectified"):
            create_model("cnn", "cwa_bn", layer_options=option)
    with pytest.raises(InputError, match="affine layers have no nonnegative"):
        create_model("fcn", "affine", (1, 4, 4), 3, layer_options={"nonnegative": "exp"})
