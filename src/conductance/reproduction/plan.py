"""Which runs a table of the paper needs, where they are, and how far each is."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

from rich.table import Table

from conductance.bounds import require_within
from conductance.errors import InputError
from conductance.models import FAMILIES, get_family
from conductance.report.table import duration
from conductance.reproduction.paper import Cell
from conductance.reproduction.recipes import Recipe
from conductance.runs import Run, RunConfig, RunFolder
from conductance.runs.config import Precision
from conductance.runs.names import run_folder_name
from conductance.runs.schema import Record, read_summary

MOST_SEEDS = 1000


@dataclass(frozen=True)
class Job:
    """One cell with one seed, to be trained or trained already.

    Attributes:
        cell: the number of the table that it measures.
        recipe: how it is trained.
        seed: of the run.
        config: the complete run; None where this version does not have the cell's family.
        folder: the folder of its run.
    """

    cell: Cell
    recipe: str
    seed: int
    config: RunConfig | None
    folder: RunFolder

    @property
    def name(self) -> str:
        """Cell and seed, in words."""
        return f"{self.cell.name} seed {self.seed}"

    @property
    def pending(self) -> bool:
        """Whether there is something left to train, and this version can train it."""
        return self.config is not None and not self.folder.finished

    def epochs_done(self) -> tuple[Record, ...]:
        """The metrics of the epochs that are finished now."""
        return Run(self.folder.path).epochs

    def state(self) -> str:
        """How far it is, in words."""
        if self.config is None:
            return "family not available"
        if self.folder.finished:
            return f"finished, {read_summary(self.folder.summary_file)['test_accuracy']:.2f} %"
        done = self.epochs_done()
        return f"{len(done)} of {self.config.epochs} epochs" if done else "to do"


def plan_jobs(
    cells: Iterable[Cell],
    recipe: Recipe,
    seeds: int,
    out: Path,
    epochs: int | None = None,
    precision: Precision = "no",
) -> list[Job]:
    """All jobs for the given cells by one recipe: each cell with the first seed, then each with the next.

    A cell whose family this version does not have keeps its place, without a config, unless it is the only one.

    Args:
        cells: of a table.
        recipe: how to train them; cells that it does not serve are left out.
        seeds: how many: 0, 1, ...
        out: the folder of all runs.
        epochs: instead of the recipe's own.
        precision: of the products, see `RunConfig`. It is not part of a recipe: a run that has begun keeps its own.

    Raises:
        InputError: no seeds, or the recipe serves none of the cells.
        UnknownNameError: this version has none of the cells' families.
        RunError: a folder holds a run with another config; nothing has been written.
    """
    if seeds < 1:
        raise InputError(f"seeds={seeds}: must be at least 1")
    require_within("seeds", seeds, MOST_SEEDS)
    cells = list(cells)
    served = [cell for cell in cells if recipe.serves(cell)]
    if not served:
        names = ", ".join(cell.name for cell in cells)
        raise InputError(f"the recipe {recipe.name!r} has no runs of its own for {names}; choose the recipe 'paper'")
    if not any(cell.family in FAMILIES for cell in served):
        get_family(served[0].family)
    folder = recipe.folder(out)
    jobs = [_job(cell, recipe, seed, folder, epochs, precision) for seed in range(seeds) for cell in served]
    for job in jobs:
        if job.config is not None:
            job.folder.check(job.config, resume=True)
    return jobs


def _job(cell: Cell, recipe: Recipe, seed: int, place: Path, epochs: int | None, precision: Precision) -> Job:
    if cell.family not in FAMILIES:
        return Job(cell, recipe.name, seed, None, RunFolder(place / run_folder_name(cell.name, seed)))
    config = replace(recipe.config(cell), seed=seed)
    folder = RunFolder(place / run_folder_name(config.name, seed))
    return Job(
        cell,
        recipe.name,
        seed,
        replace(
            config,
            epochs=config.epochs if epochs is None else epochs,
            precision=folder.read_config().precision if folder.started else precision,
        ),
        folder,
    )


def seconds_left(jobs: Iterable[Job]) -> list[float | None]:
    """How long each job will still take, from the mean time of an epoch of its cell; None before the first epoch.

    Where training may stop before its last epoch, as the paper's does, this is the longest it can take.
    """
    jobs = list(jobs)
    done = [job.epochs_done() for job in jobs]
    timed: dict[Cell, list[float]] = {}
    for job, epochs in zip(jobs, done, strict=True):
        timed.setdefault(job.cell, []).extend(epoch["seconds"] for epoch in epochs if "seconds" in epoch)
    means = {cell: fmean(seconds) for cell, seconds in timed.items() if seconds}
    return [_seconds_left(job, len(epochs), means.get(job.cell)) for job, epochs in zip(jobs, done, strict=True)]


def _seconds_left(job: Job, done: int, of_an_epoch: float | None) -> float | None:
    if job.config is None or job.folder.finished:
        return 0.0
    return None if of_an_epoch is None else (job.config.epochs - done) * of_an_epoch


def time_left(jobs: Iterable[Job]) -> str:
    """How long the pending jobs will take, in words, as far as an epoch of their cells has been timed."""
    jobs = list(jobs)
    lefts = [left for job, left in zip(jobs, seconds_left(jobs), strict=True) if job.pending]
    pending = [job for job in jobs if job.pending]
    if not pending:
        return "nothing is left to train"
    known = [left for left in lefts if left is not None]
    unknown = len(pending) - len(known)
    may_stop_early = any(job.config is not None and job.config.protocol.name == "paper" for job in pending)
    about = "at most" if may_stop_early else "about"
    guess = f"{about} {duration(sum(known))} left" if known else "time left not known yet"
    return guess + (f", and {unknown} more runs of cells not timed yet" if known and unknown else "")


def plan_table(jobs: Sequence[Job]) -> Table:
    """All jobs, how far each is and how long it will take, for `rich.print`."""
    table = Table(box=None, caption=time_left(jobs), caption_justify="left")
    for heading in ("run", "paper %", "epochs", "state", "left"):
        table.add_column(heading, justify="left" if heading in ("run", "state") else "right", no_wrap=True)
    for job, seconds in zip(jobs, seconds_left(jobs), strict=True):
        epochs = "" if job.config is None else str(job.config.epochs)
        left = duration(seconds) if job.pending else ""
        table.add_row(job.name, f"{job.cell.paper:.2f}", epochs, job.state(), left)
    return table
