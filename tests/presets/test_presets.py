"""Every preset is a complete run that can be built."""

import json
from dataclasses import replace

import pytest
import torch

from conductance.data import DATASETS
from conductance.errors import UnknownNameError
from conductance.models import ARCHITECTURES, FAMILIES, create_model
from conductance.presets import PRESETS, get_preset
from conductance.runs.config import config_from_dict
from conductance.training.build import layer_options

SHAPES = {"digits": (1, 8, 8), "mnist": (1, 28, 28), "fashion_mnist": (1, 28, 28), "cifar10": (3, 32, 32)}


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_the_run_it_is_named_after(name):
    config = get_preset(name)
    pooled = name.endswith("-pooled")
    dataset, architecture, family = name.removesuffix("-pooled").rsplit("-", 2)
    assert config.name == name
    assert config.data.dataset == dataset.replace("-", "_")
    assert (config.model.architecture, config.model.family) == (architecture, family)
    assert config.conductance.pooled_interneuron == pooled
    assert config_from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize("name", PRESETS)
def test_its_network_takes_its_images(name):
    config = get_preset(name)
    shape, widths = SHAPES[config.data.dataset], config.model.widths
    with torch.device("meta"):
        network = create_model(
            config.model.architecture,
            config.model.family,
            shape,
            layer_options=layer_options(config),
            **({} if widths is None else {"widths": widths}),
        )
        assert network(torch.empty(2, *shape)).shape == (2, 10)


def test_the_shapes_of_these_tests_are_those_of_the_data_sets():
    assert SHAPES.keys() == DATASETS.keys() - {"cifar100"}  # which the presets of CIFAR-10 can be turned to


def test_every_data_set_architecture_and_family_has_its_preset():
    combinations = {(data, network) for data in ("mnist", "fashion-mnist", "cifar10") for network in ARCHITECTURES}
    combinations |= {("digits", "fcn"), ("digits", "cnn")}
    kinds = {*FAMILIES, "cwa-pooled", "absnorm-pooled"}
    assert PRESETS.keys() == {f"{data}-{network}-{kind}" for data, network in combinations for kind in kinds}


def test_a_pooled_preset_differs_by_its_interneuron_alone():
    for name in (name for name in PRESETS if name.endswith("-pooled")):
        config, plain = get_preset(name), get_preset(name.removesuffix("-pooled"))
        without = replace(config.conductance, pooled_interneuron=False)
        assert replace(config, name=plain.name, conductance=without) == plain


def test_what_is_augmented_is_never_a_mirrored_digit():
    for name in PRESETS:
        wanted = {"digits": "none", "cifar10": "shift_flip"}.get(name.split("-")[0], "shift")
        assert get_preset(name).data.augmentation == wanted


@pytest.mark.parametrize(
    ("wrong", "nearest"), [("mnist-cnn-cwaa", "mnist-cnn-cwa"), ("cifar-resnet18-affine", "cifar10-resnet18-affine")]
)
def test_an_unknown_preset_names_the_nearest(wrong, nearest):
    with pytest.raises(UnknownNameError, match=f"unknown preset '{wrong}'; did you mean .*'{nearest}'"):
        get_preset(wrong)
