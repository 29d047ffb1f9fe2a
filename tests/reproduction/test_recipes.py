"""The recipe `paper` is section 4.3's, and it is said where that cannot learn."""

import pytest
import torch
from torch import nn

from conductance import init
from conductance.data import Dataset, Images
from conductance.errors import UnknownNameError
from conductance.models import FAMILIES
from conductance.optim import hidden_synapses
from conductance.presets import get_preset
from conductance.reproduction.paper import TABLES
from conductance.reproduction.recipes import RECIPES, get_recipe
from conductance.training.build import build_network
from conductance.training.silence import silent_layers

SINGLE = FAMILIES.keys() - {"cwa_li"}  # families whose layers are one average each
CELLS = {cell.name: cell for table in TABLES.values() for cell in table if cell.family in SINGLE}
SMALL = [name for name, cell in CELLS.items() if cell.architecture != "resnet18"]
SIDES = {"mnist": (1, 28), "cifar10": (3, 32)}


def pictures(name, count=100):
    """Smooth ones, half of them dark, as a data set of this name."""
    channels, side = SIDES[name]
    coarse = torch.rand(count, channels, 6, 6)
    pixels = nn.functional.interpolate(coarse, size=(side, side), mode="bilinear").mul(255).byte()
    images = Images(pixels, torch.arange(count) % 10)
    return Dataset(name, images, images, tuple("0123456789"))


def recipe(name, cell):
    return RECIPES[name].config(CELLS[cell])


@pytest.mark.parametrize("name", CELLS)
def test_presets_is_the_preset(name):
    assert recipe("presets", name) == get_preset(name)


@pytest.mark.parametrize("name", CELLS)
def test_paper_is_section_4_3(name):
    config, cell = recipe("paper", name), CELLS[name]
    affine = cell.family in ("affine", "affine_bn")
    assert (config.data.dataset, config.model.architecture, config.model.family) == tuple(name.split("-"))
    assert (config.model.widths, config.model.shortcut) == (None, None)
    assert (config.conductance.nonnegative, config.conductance.initialization) == ("rectified", "glorot")
    assert (config.conductance.twin, config.conductance.balance, config.conductance.learn_resting) == (False,) * 3
    assert config.conductance.excitatory_share == 0.5
    assert config.conductance.resting_conductance == 1
    assert config.conductance.resting_potential == (-0.4 if cell.architecture == "fcn" else 0)
    assert (config.data.augmentation, config.data.max_shift) == (
        ("shift_flip", 4) if cell.dataset == "cifar10" else ("none", 4)
    )
    assert (config.optimizer.name, config.optimizer.betas) == ("adam", (0.9, 0.99))
    assert config.optimizer.readout_learning_rate == (1e-3 if affine else 1e-5)
    assert config.optimizer.label_smoothing == 0
    assert (config.protocol.name, config.protocol.patience) == ("paper", 5 if affine else 25)
    assert config.protocol.stop_train_accuracy == 99.4


@pytest.mark.parametrize("name", CELLS)
def test_the_step_of_hidden_layers_is_about_the_papers(name):
    config = recipe("paper", name)
    network = init.glorot_(build_network(config, pictures(CELLS[name].dataset, 2)))
    sizes = [layer.size for layer in hidden_synapses(network)]
    step = 1e-3 if config.model.family.startswith("affine") else 1e-5
    steps = [config.optimizer.learning_rate * size / step for size in sizes]
    if "cwa" in name:
        assert steps == pytest.approx([1] * len(steps), rel=0.01)
    else:
        assert all(0.5 < step < 3.6 for step in steps)
        assert sum(0.5 < step < 2.1 for step in steps) >= len(steps) - 3  # ResNet's 1x1 shortcuts


@pytest.mark.parametrize("name", SMALL)
def test_a_dead_network_is_found_and_paper_alive_wakes_it(name):
    dataset = pictures(CELLS[name].dataset)
    dead = silent_layers(recipe("paper", name), dataset)
    if RECIPES["paper-alive"].serves(CELLS[name]):
        assert dead[-1] == "readout"
        assert silent_layers(recipe("paper-alive", name), dataset) == []
    elif CELLS[name].family != "cwa":
        assert dead == []


def test_looking_at_a_network_leaves_random_numbers_alone():
    dataset = pictures("mnist")
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    silent_layers(recipe("presets", "mnist-fcn-cwa"), dataset)
    assert torch.equal(torch.rand(3), expected)


def test_paper_alive_changes_the_resting_potential_alone():
    served = [name for name, cell in CELLS.items() if RECIPES["paper-alive"].serves(cell)]
    assert served == ["mnist-fcn-cwa", "cifar10-fcn-cwa", "cifar10-fcn-absnorm"]
    for name in served:
        there, here = recipe("paper", name).to_dict(), recipe("paper-alive", name).to_dict()
        assert here.pop("name") == f"{there.pop('name')}-alive"
        assert (there["conductance"].pop("resting_potential"), here["conductance"].pop("resting_potential")) == (
            -0.4,
            0,
        )
        assert here == there


def test_an_unknown_recipe_names_the_nearest():
    with pytest.raises(UnknownNameError, match="unknown recipe 'papr'; did you mean 'paper'"):
        get_recipe("papr")
