"""Changes to a config, each of one choice."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from conductance.models import cnn, fcn
from conductance.runs import RunConfig

_CIFAR_WIDTHS = {"cnn": cnn.CIFAR_WIDTHS, "fcn": fcn.CIFAR_WIDTHS}

Change = Callable[[RunConfig], RunConfig]


def unchanged(config: RunConfig) -> RunConfig:
    """The preset as it is."""
    return config


def conductance(**choices: Any) -> Change:
    """Another start or form of the conductances."""
    return lambda config: replace(config, conductance=replace(config.conductance, **choices))


def optimizer(**choices: Any) -> Change:
    """Another optimizer, or other options of it."""
    return lambda config: replace(config, optimizer=replace(config.optimizer, **choices))


def data(**choices: Any) -> Change:
    """Other batches, or images in another form."""
    return lambda config: replace(config, data=replace(config.data, **choices))


def model(**choices: Any) -> Change:
    """Another network."""
    return lambda config: replace(config, model=replace(config.model, **choices))


def both(first: Change, second: Change) -> Change:
    """One after the other."""
    return lambda config: second(first(config))


def half_width(config: RunConfig) -> RunConfig:
    """Half the units in every hidden layer of the paper's CIFAR-10 networks."""
    widths = tuple(width // 2 for width in _CIFAR_WIDTHS[config.model.architecture])
    return model(widths=widths)(config)


def quarter_width(config: RunConfig) -> RunConfig:
    """A quarter of ResNet-18's channels, so that two cores can train it."""
    return model(widths=(16, 32, 64, 128))(config)
