"""The recorded command trains the very same config."""

import shlex
from dataclasses import replace

import pytest

from conductance.cli import app as cli
from conductance.models import FAMILIES
from conductance.presets.command import train_command
from conductance.reproduction.recipes import RECIPES
from conductance.reproduction.tables import TABLES
from conductance.runs import ModelConfig

CELLS = {cell.name: cell for table in TABLES.values() for cell in table if cell.family in FAMILIES}


def trained_by(command, monkeypatch):
    """The config that a command would train."""
    program, *arguments = shlex.split(command)
    assert program == "conductance"
    seen = []

    def note(config, *_, **__):
        seen.append(config)
        raise KeyboardInterrupt

    monkeypatch.setattr("conductance.training.train", note)
    with pytest.raises(SystemExit):
        cli.main(arguments)
    return seen[0]


@pytest.mark.parametrize("cell", ["mnist-cnn-cwa", "cifar10-fcn-absnorm", "cifar10-resnet18-affine_bn"])
@pytest.mark.parametrize("recipe", ["modern", "paper"])
def test_it_is_the_config(recipe, cell, monkeypatch):
    config = replace(RECIPES[recipe].config(CELLS[cell]), seed=3)
    command = train_command(config)
    assert f"{cell} --seed 3" in command
    assert trained_by(command, monkeypatch) == config


def test_every_kind_of_value_survives(monkeypatch):
    config = RECIPES["modern"].config(CELLS["mnist-fcn-cwa"])
    config = replace(
        config,
        name="a name of its own",
        model=ModelConfig("fcn", "cwa", (30, 20)),
        conductance=replace(config.conductance, learn_resting=True, twin=False),
        optimizer=replace(config.optimizer, betas=(0.8, 0.95), leak_learning_rate=1e-7),
    )
    assert trained_by(train_command(config), monkeypatch) == config
