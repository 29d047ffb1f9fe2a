"""Changes to a config, each of one choice, and the row that tells what a change did to validation accuracy."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import mean, stdev
from typing import Any

from conductance.models import cnn, fcn
from conductance.training import RunConfig
from conductance.training.provenance import git_commit

_CIFAR_WIDTHS = {"cnn": cnn.CIFAR_WIDTHS, "fcn": fcn.CIFAR_WIDTHS}

Change = Callable[[RunConfig], RunConfig]


def unchanged(config: RunConfig) -> RunConfig:
    """The preset as it is."""
    return config


def conductance(**choices: Any) -> Change:
    """Other conductances at the start."""
    return lambda config: replace(config, conductance=replace(config.conductance, **choices))


def optimizer(**choices: Any) -> Change:
    """Another way to learn."""
    return lambda config: replace(config, optimizer=replace(config.optimizer, **choices))


def data(**choices: Any) -> Change:
    """Other images, or the same in another form."""
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


def row(
    architecture: str, family: str, change: str, summaries: Sequence[dict[str, Any]], command: str
) -> dict[str, Any]:
    """Mean and standard deviation of the validation accuracy (%) over the seeds of one change."""
    accuracies = [summary["validation_accuracy"] for summary in summaries]
    return {
        "architecture": architecture,
        "family": family,
        "change": change,
        "epochs": summaries[0]["epochs"],
        "seeds": len(summaries),
        "validation_mean": round(mean(accuracies), 2),
        "validation_std": round(stdev(accuracies), 2) if len(accuracies) > 1 else "",
        "seconds_per_run": round(mean(summary["seconds"] for summary in summaries), 1),
        "hardware": "{cpu}, {threads} threads".format(**summaries[0]["hardware"]),
        "commit": summaries[0]["git_commit"] or git_commit(),
        "command": command,
    }
