"""Which runs a table of the paper takes, where they lie, and how far each is."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from conductance.errors import InputError
from conductance.models import FAMILIES, get_family
from conductance.reproduction.recipes import Recipe
from conductance.reproduction.tables import Cell
from conductance.runs import RunConfig, RunFolder
from conductance.runs.config import Precision
from conductance.runs.names import run_folder_name
from conductance.runs.schema import read_epochs, read_summary


@dataclass(frozen=True)
class PlannedRun:
    """One seed of one cell.

    Attributes:
        cell: the number of the table that it is for.
        recipe: the name of its recipe.
        seed: of the run.
        config: the complete run; None where this version has not got the cell's family.
        folder: where it lies, or will.
    """

    cell: Cell
    recipe: str
    seed: int
    config: RunConfig | None
    folder: Path

    @property
    def name(self) -> str:
        """Cell and seed, in words."""
        return f"{self.cell.name} seed {self.seed}"

    @property
    def started(self) -> bool:
        """Whether it has a folder."""
        return RunFolder(self.folder).config_file.exists()

    @property
    def finished(self) -> bool:
        """Whether it has reached its end."""
        return RunFolder(self.folder).finished

    @property
    def pending(self) -> bool:
        """Whether there is something left to train, and the means to do so."""
        return self.config is not None and not self.finished

    def epochs_done(self) -> tuple[dict[str, Any], ...]:
        """The metrics of its finished epochs."""
        file = RunFolder(self.folder).metrics_file
        return read_epochs(file, finished=False) if file.exists() else ()

    def state(self) -> str:
        """How far it is, in words."""
        if self.config is None:
            return "family not available"
        if self.finished:
            return f"finished, {read_summary(RunFolder(self.folder).summary_file)['test_accuracy']:.2f} %"
        done = self.epochs_done()
        return f"{len(done)} of {self.config.epochs} epochs" if done else "to do"


def plan_runs(
    cells: Iterable[Cell],
    recipe: Recipe,
    seeds: int,
    out: Path,
    epochs: int | None = None,
    precision: Precision = "no",
) -> list[PlannedRun]:
    """All runs of the given cells by one recipe: each cell with the first seed, then each with the next.

    A cell whose family this version has not got keeps its place, without a config, unless it is the only one.

    Args:
        cells: of a table.
        recipe: how to train them; cells that it does not serve are left out.
        seeds: how many: 0, 1, ...
        out: the folder of all runs.
        epochs: instead of the recipe's own.
        precision: of the products, see `RunConfig`; no part of a recipe, and a run that has begun keeps its own.

    Raises:
        InputError: no seeds, or the recipe serves none of the cells.
        UnknownNameError: this version has none of the cells' families.
        RunError: a folder holds a run of another config; nothing has been written.
    """
    if seeds < 1:
        raise InputError(f"seeds={seeds}: must be at least 1")
    cells = list(cells)
    served = [cell for cell in cells if recipe.serves(cell)]
    if not served:
        names = ", ".join(cell.name for cell in cells)
        raise InputError(f"the recipe {recipe.name!r} has no runs of its own for {names}; choose the recipe 'paper'")
    if not any(cell.family in FAMILIES for cell in served):
        get_family(served[0].family)
    runs = [_planned(cell, recipe, seed, out, epochs, precision) for seed in range(seeds) for cell in served]
    for run in runs:
        if run.config is not None:
            RunFolder(run.folder).check(run.config, resume=True)
    return runs


def _planned(cell: Cell, recipe: Recipe, seed: int, out: Path, epochs: int | None, precision: Precision) -> PlannedRun:
    if cell.family not in FAMILIES:
        return PlannedRun(cell, recipe.name, seed, None, out / recipe.name / run_folder_name(cell.name, seed))
    config = replace(recipe.config(cell), seed=seed)
    if epochs is not None:
        config = replace(config, epochs=epochs)
    folder = out / recipe.name / run_folder_name(config.name, seed)
    begun = RunFolder(folder)
    config = replace(config, precision=begun.read_config().precision if begun.config_file.exists() else precision)
    return PlannedRun(cell, recipe.name, seed, config, folder)


def seconds_left(run: PlannedRun, runs: Sequence[PlannedRun]) -> float | None:
    """How long a run will still take, by the mean of the epochs that its cell has behind it; None before the first.

    Where training may stop before its last epoch, as the paper's does, it is the longest it can take.
    """
    if run.config is None or run.finished:
        return 0.0
    epochs = [epoch for other in runs if other.cell == run.cell for epoch in other.epochs_done()]
    timed = [epoch["seconds"] for epoch in epochs if "seconds" in epoch]
    left = run.config.epochs - len(run.epochs_done())
    return left * fmean(timed) if timed else None
