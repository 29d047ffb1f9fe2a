"""Why the presets are as they are: each of their choices changed alone, judged by validation accuracy on the digits."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console
from rich.progress import track

from conductance.experiments import changes
from conductance.experiments.presets import get_preset
from conductance.files import write_table
from conductance.training import train
from conductance.training.provenance import git_commit

VALIDATION_IMAGES = 300
ARCHITECTURES = ("fcn", "cnn")

CHANGES: dict[str, changes.Change] = {
    "none": changes.unchanged,
    "step 0.01": changes.optimizer(learning_rate=0.01),
    "step 0.03": changes.optimizer(learning_rate=0.03),
    "step 0.3": changes.optimizer(learning_rate=0.3),
    "readout step 0.001": changes.optimizer(readout_learning_rate=0.001),
    "no label smoothing": changes.optimizer(label_smoothing=0.0),
    "h rectified": changes.conductance(nonnegative="rectified"),
    "h exp": changes.conductance(nonnegative="exp"),
    "sigma 0.5": changes.conductance(sigma=0.5),
    "exponential": changes.conductance(initialization="exponential"),
    "Glorot around 1": changes.conductance(initialization="glorot"),
    "no twins": changes.conductance(twin=False),
    "no balance": changes.conductance(balance=False),
    "leak learnt": changes.conductance(learn_resting=True),
}


def measure_recipe(file: Path, seeds: tuple[int, ...] = (0, 1, 2, 3, 4), console: Console | None = None) -> None:
    """Train every change and both affine baselines, and write one row each as CSV; no test image is looked at.

    Columns: architecture, family, change, epochs, seeds, validation_mean, validation_std (%), seconds_per_run,
    hardware, commit, command.
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
    return _row(architecture, family, change, summaries)


def _row(architecture: str, family: str, change: str, summaries: Sequence[dict[str, Any]]) -> dict[str, Any]:
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
        "command": "make recipe",
    }


if __name__ == "__main__":
    measure_recipe(Path("results/recipe.csv"), console=Console())
