"""Which way a residual shortcut should join conductance networks, judged by validation accuracy on CIFAR-10.

A quarter of ResNet-18's width and a fifth of the training images, so that two cores can do it; the other images are
what is judged by.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from conductance.experiments import changes
from conductance.experiments.presets import get_preset
from conductance.files import write_table
from conductance.models.resnet import SHORTCUTS
from conductance.training import RunConfig, train
from conductance.training.run_folder import RunFolder

WIDTHS = (16, 32, 64, 128)
VALIDATION_IMAGES = 40_000
EPOCHS = 8
BRANCHES: dict[str, dict[str, Any]] = {
    **{name: {"shortcut": name} for name in SHORTCUTS},
    "mean, branch learnt from 0.1": {"shortcut": "mean", "branch_scale": 0.1},
}
RUNS = Path("runs/shortcuts")


def config_of(branch: str, seed: int, preset: str = "cifar10-resnet18-cwa") -> RunConfig:
    """The preset in small, its blocks joined as named."""
    config = get_preset(preset)
    return replace(
        config,
        name=f"{config.name} {branch}",
        seed=seed,
        epochs=EPOCHS,
        model=replace(config.model, widths=WIDTHS, **BRANCHES[branch]),
        data=replace(config.data, validation_images=VALIDATION_IMAGES),
    )


def folder_of(config: RunConfig, runs: Path = RUNS) -> Path:
    """Where a run lies."""
    return runs / f"{config.name}-seed{config.seed}".replace(" ", "-").replace(",", "")


def run(seeds: int, runs: Path = RUNS, console: Console | None = None) -> None:
    """Train what is missing, all branches with the first seed, then with the next."""
    for seed in range(seeds):
        for branch in BRANCHES:
            config = config_of(branch, seed)
            folder = folder_of(config, runs)
            train(config, folder, resume=folder.exists(), console=console, command="make shortcuts")


def table(seeds: int, runs: Path = RUNS) -> list[dict[str, Any]]:
    """A row for each branch of which at least one seed is done."""
    rows = []
    for branch in BRANCHES:
        folders = [RunFolder(folder_of(config_of(branch, seed), runs)) for seed in range(seeds)]
        summaries = [folder.read_json(folder.summary_file) for folder in folders if folder.finished]
        if summaries:
            rows.append(changes.row("resnet18", "cwa", branch, summaries, "make shortcuts"))
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is missing, and write results/shortcuts.csv."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--table-only", action="store_true", help="train nothing; make the table of what is done")
    choices = parser.parse_args(arguments)
    if not choices.table_only:
        run(choices.seeds, console=Console())
    rows = table(choices.seeds)
    if rows:
        write_table(Path("results/shortcuts.csv"), list(rows[0]), rows)


if __name__ == "__main__":
    main()
