"""The recorded command trains the very same config."""

import shlex
from dataclasses import replace

import pytest
import tyro
from hypothesis import given, settings
from hypothesis import strategies as st

from conductance import cli
from conductance.errors import InputError
from conductance.models import FAMILIES
from conductance.presets import get_preset
from conductance.presets.command import train_command
from conductance.printable import is_printable
from conductance.reproduction.paper import TABLES
from conductance.reproduction.recipes import RECIPES
from conductance.runs import ModelConfig, RunConfig

CELLS = {cell.name: cell for table in TABLES.values() for cell in table if cell.family in FAMILIES}


def trained_by(command, monkeypatch):
    """The config that a command would train."""
    program, *arguments = shlex.split(command)
    assert program == "conductance"
    seen = []

    def note(config, *_, **__):
        seen.append(config)
        raise KeyboardInterrupt

    monkeypatch.setattr("conductance.cli.train.train", note)
    with pytest.raises(SystemExit):
        cli.main(arguments)
    return seen[0]


@pytest.mark.parametrize("cell", ["mnist-cnn-cwa", "cifar10-fcn-absnorm", "cifar10-resnet18-affine_bn"])
@pytest.mark.parametrize("recipe", ["presets", "paper"])
def test_it_is_the_config(recipe, cell, monkeypatch):
    config = replace(RECIPES[recipe].config(CELLS[cell]), seed=3)
    command = train_command(config)
    assert f"{cell} --seed 3" in command
    assert trained_by(command, monkeypatch) == config


def test_it_starts_from_the_preset_that_the_config_is_named_after(monkeypatch):
    config = replace(get_preset("cifar10-cnn-cwa-pooled"), seed=1)
    assert train_command(config) == "conductance train cifar10-cnn-cwa-pooled --seed 1"
    assert trained_by(train_command(config), monkeypatch) == config


def test_every_kind_of_value_survives(monkeypatch):
    config = RECIPES["presets"].config(CELLS["mnist-fcn-cwa"])
    config = replace(
        config,
        name="a name of its own",
        model=ModelConfig("fcn", "cwa", (30, 20)),
        conductance=replace(config.conductance, learn_resting=True, twin=False),
        optimizer=replace(config.optimizer, betas=(0.8, 0.95), leak_learning_rate=1e-7),
    )
    assert trained_by(train_command(config), monkeypatch) == config


words = st.text(st.characters(exclude_categories=["C"]), max_size=12)
positive = st.floats(0, 1e6, exclude_min=True, allow_subnormal=False)
SETTINGS = {
    "name": words.filter(is_printable),
    "seed": st.integers(0, 2**32 - 1),
    "precision": st.sampled_from(["no", "bf16", "fp16"]),
    "model.widths": st.none() | st.lists(st.integers(1, 4000), min_size=1, max_size=4).map(tuple),
    "conductance.twin": st.booleans(),
    "conductance.resting_potential": st.floats(-1, 1),
    "conductance.resting_share": st.none() | positive,
    "data.dataset": st.sampled_from(["cifar100", "folder"]),
    "data.preprocessing": st.sampled_from([None, "unit", "scaled"]),
    "optimizer.learning_rate": positive,
    "optimizer.betas": st.tuples(*[st.floats(0, 1, exclude_max=True)] * 2),
    "optimizer.momentum": st.none() | st.floats(0, 1, exclude_max=True),
    "teacher.run": st.none() | words.filter(lambda word: word != "None"),
}


def with_setting(config, path, value):
    name, _, rest = path.partition(".")
    return replace(config, **{name: with_setting(getattr(config, name), rest, value) if rest else value})


@settings(max_examples=12)
@given(values=st.fixed_dictionaries(SETTINGS))
def test_any_value_of_a_setting_survives(values):
    config = get_preset("cifar10-fcn-cwa")
    for path, value in values.items():
        config = with_setting(config, path, value)
    program, command, preset, *options = shlex.split(train_command(config, "cifar10-fcn-cwa"))
    assert (program, command, preset) == ("conductance", "train", "cifar10-fcn-cwa")
    assert tyro.cli(RunConfig, default=get_preset(preset), args=options) == config


def test_a_name_may_begin_with_a_dash(monkeypatch):
    config = replace(get_preset("digits-fcn-cwa"), name="-x")
    assert trained_by(train_command(config), monkeypatch) == config


def test_a_teacher_that_the_command_line_cannot_name_is_refused():
    with pytest.raises(InputError, match=r"teacher.run='None' .* write \./None"):
        with_setting(get_preset("digits-fcn-cwa"), "teacher.run", "None")
