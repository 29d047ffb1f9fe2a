"""Why the presets are as they are: each of their choices changed alone, judged by validation accuracy on the digits."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console
from rich.progress import track

from conductance.experiments.presets import get_preset
from conductance.files import write_table
from conductance.training import RunConfig, train
from conductance.training.provenance import git_commit

VALIDATION_IMAGES = 300
ARCHITECTURES = ("fcn", "cnn")

Change = Callable[[RunConfig], RunConfig]


def _conductance(**choices: Any) -> Change:
    return lambda config: replace(config, conductance=replace(config.conductance, **choices))


def _optimizer(**choices: Any) -> Change:
    return lambda config: replace(config, optimizer=replace(config.optimizer, **choices))


CHANGES: dict[str, Change] = {
    "none": lambda config: config,
    "step 0.01": _optimizer(learning_rate=0.01),
    "step 0.03": _optimizer(learning_rate=0.03),
    "step 0.3": _optimizer(learning_rate=0.3),
    "readout step 0.001": _optimizer(readout_learning_rate=0.001),
    "no label smoothing": _optimizer(label_smoothing=0.0),
    "h rectified": _conductance(nonnegative="rectified"),
    "h exp": _conductance(nonnegative="exp"),
    "sigma 0.5": _conductance(sigma=0.5),
    "exponential": _conductance(initialization="exponential"),
    "Glorot around 1": _conductance(initialization="glorot"),
    "no twins": _conductance(twin=False),
    "no balance": _conductance(balance=False),
    "leak learnt": _conductance(learn_resting=True),
}


def measure_recipe(file: Path, seeds: tuple[int, ...] = (0, 1, 2, 3, 4), console: Console | None = None) -> None:
    """Train every change and both affine baselines, and write one row each as CSV; no test image is looked at.

    Columns: architecture, family, change, seeds, validation_mean, validation_std (%), seconds_per_run, hardware,
    commit, command.
    """
    cases = [(architecture, "cwa", change) for architecture in ARCHITECTURES for change in CHANGES]
    cases += [(architecture, family, "none") for architecture in ARCHITECTURES for family in ("affine", "affine_bn")]
    rows = [
        _measure(architecture, family, change, seeds)
        for architecture, family, change in track(cases, "recipe", console=console)
    ]
    write_table(file, list(rows[0]), rows)


def _measure(architecture: str, family: str, change: str, seeds: tuple[int, ...]) -> dict[str, Any]:
    config = CHANGES[change](get_preset(f"digits-{architecture}-{family}"))
    config = replace(config, data=replace(config.data, validation_images=VALIDATION_IMAGES))
    summaries = []
    for seed in seeds:
        with TemporaryDirectory() as folder:
            summaries.append(train(replace(config, seed=seed), Path(folder) / "run", device="cpu", command="recipe"))
    accuracies = [summary["validation_accuracy"] for summary in summaries]
    return {
        "architecture": architecture,
        "family": family,
        "change": change,
        "seeds": len(seeds),
        "validation_mean": round(mean(accuracies), 2),
        "validation_std": round(stdev(accuracies), 2) if len(seeds) > 1 else "",
        "seconds_per_run": round(mean(summary["seconds"] for summary in summaries), 1),
        "hardware": "{cpu}, {threads} threads".format(**summaries[0]["hardware"]),
        "commit": git_commit(),
        "command": "make recipe",
    }


if __name__ == "__main__":
    measure_recipe(Path("results/recipe.csv"), console=Console())
