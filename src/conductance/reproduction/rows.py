"""Rows of the paper's tables: each cell with what was measured for it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from statistics import fmean
from typing import Any

from conductance.errors import ConductanceError, InputError
from conductance.models import FAMILIES
from conductance.report.rows import mixture, spread
from conductance.reproduction.paper import TABLES, Cell
from conductance.reproduction.recipes import OF_0_1, RECIPES, recipe_of
from conductance.runs.groups import Group, group_runs
from conductance.runs.names import preset_name
from conductance.runs.run import Run

SHORT, LONG = "short: ", "long: "


@dataclass(frozen=True)
class PaperRow:
    """One cell of the paper and, where ``seeds`` is not 0, what one recipe gave; accuracies in %.

    Attributes:
        table: table1 or table2.
        dataset: of the cell.
        architecture: of the cell.
        family: of the cell.
        recipe: how it was trained. Runs with fewer or more epochs than their recipe say ``short`` or ``long`` and how
            many; runs that differ only in their name say that too.
        epochs: passes over the training images, ``least-most`` where seeds stopped at different ones.
        seeds: how many finished runs; 0 for a cell that has not been measured.
        mean: test accuracy after the last epoch, over the seeds; None where there are none.
        std: its sample standard deviation; None for fewer than two seeds.
        best_mean: the mean of each run's best epoch, which was chosen on the test images.
        paper: what the paper has.
        reached: after which epoch a run first reached the paper's accuracy, ``least-most`` over the seeds; empty where
            one never did.
        seconds_per_run: mean over the seeds.
        hardware: every kind recorded, with the precision of the products where it is not float32.
        commit: every one recorded.
        command: every one recorded.
        mixes: what the seeds do not share: precisions, commits; empty where they share both.
        runs: the runs themselves, seed by seed.
    """

    table: str
    dataset: str
    architecture: str
    family: str
    recipe: str
    epochs: str
    seeds: int
    mean: float | None
    std: float | None
    best_mean: float | None
    paper: float
    reached: str
    seconds_per_run: float | None
    hardware: str
    commit: str
    command: str
    mixes: str = ""
    runs: tuple[Run, ...] = field(default=(), repr=False, compare=False)

    @property
    def accuracies(self) -> list[float]:
        """The test accuracy of each seed after the last epoch, in %."""
        return [run.summary["test_accuracy"] for run in self.runs if run.summary is not None]

    def record(self) -> dict[str, Any]:
        """All but the runs, as plain values."""
        return {each.name: getattr(self, each.name) for each in fields(self) if each.name != "runs"}

    @property
    def kind(self) -> tuple[str, str, str]:
        """Data set, architecture and family."""
        return self.dataset, self.architecture, self.family

    @property
    def whole(self) -> bool:
        """Whether it was trained for as many epochs as its recipe has."""
        return not (SHORT in self.recipe or LONG in self.recipe)

    @property
    def difference(self) -> float | None:
        """How far the mean is above the paper's figure, in points."""
        return None if self.mean is None else self.mean - self.paper


def paper_rows(table: str, runs: Iterable[Run]) -> list[PaperRow]:
    """The rows of one table, cell by cell: one for each recipe, name and length of its finished runs, or an open one.

    Raises:
        RunError: two finished runs of one row have the same seed.
        InputError: a run's config has fields that this version does not know.
    """
    runs = [run for run in runs if run.finished]
    return [row for cell in TABLES[table] for row in _rows_of(table, cell, runs)]


def _rows_of(table: str, cell: Cell, runs: Sequence[Run]) -> list[PaperRow]:
    by_recipe: dict[tuple[str, int], list[Run]] = {}
    for run in runs:
        if run.kind == cell.kind:
            by_recipe.setdefault(_recipe_of(run, cell), []).append(run)
    rows = []
    for (recipe, epochs), members in by_recipe.items():
        groups = group_runs(members)
        rows += [_measured(table, cell, group, recipe + _name_if_needed(group, groups), epochs) for group in groups]
    places = {recipe: place for place, recipe in enumerate(dict.fromkeys(["presets", OF_0_1, *RECIPES]))}
    rows.sort(key=lambda row: (not row.whole, places.get(row.recipe, len(places))))
    return rows or [_open(table, cell)]


def _recipe_of(run: Run, cell: Cell) -> tuple[str, int]:
    try:
        return recipe_of(run.settings, cell)
    except ConductanceError as error:
        raise InputError(f"{run.path}: {error}; leave it out of the folder") from None


def _name_if_needed(group: Group, groups: Sequence[Group]) -> str:
    """The name and the folder, where nothing else tells the group from another."""
    alike = [other for other in groups if other.epochs == group.epochs]
    preset = preset_name(group.dataset, group.architecture, group.family)
    name = f"; name={group.name}" if len(alike) > 1 and group.name != preset else ""
    return f"{name}; folder={group.folder}" if group.folder else name


def _measured(table: str, cell: Cell, group: Group, recipe: str, full_epochs: int) -> PaperRow:
    summaries = group.summaries
    accuracies = [summary["test_accuracy"] for summary in summaries]
    length = ""
    if group.epochs != full_epochs:
        length = f"; {SHORT if group.epochs < full_epochs else LONG}{group.epochs} of {full_epochs} epochs"
    return PaperRow(
        table,
        *cell.kind,
        recipe + length,
        epochs=_range([len(run.epochs) for run in group.finished]),
        seeds=len(summaries),
        mean=fmean(accuracies),
        std=spread(accuracies),
        best_mean=fmean(summary["best_test_accuracy"] for summary in summaries),
        paper=cell.paper,
        reached=_range([_first_epoch_at(cell.paper, run) for run in group.finished]),
        seconds_per_run=fmean(summary["seconds"] for summary in summaries),
        hardware=_every(map(hardware_of, group.finished)),
        commit=_every(summary.get("git_commit") for summary in summaries),
        command=_every(summary.get("command") for summary in summaries),
        mixes=mixture(group),
        runs=group.finished,
    )


def _open(table: str, cell: Cell) -> PaperRow:
    why = "open" if cell.family in FAMILIES else "family not available"
    return PaperRow(table, *cell.kind, why, "", 0, None, None, None, cell.paper, "", None, "", "", "")


def _first_epoch_at(accuracy: float, run: Run) -> int | None:
    return next((epoch["epoch"] for epoch in run.epochs if epoch["test_accuracy"] >= accuracy), None)


def _range(numbers: Sequence[int | None]) -> str:
    """``least-most``, or one number where all are equal; nothing where one is unknown."""
    known = [number for number in numbers if number is not None]
    return "-".join(map(str, sorted({min(known), max(known)}))) if len(known) == len(numbers) else ""


def hardware_of(run: Run) -> str:
    """The device of a finished run, and the precision of its products where it is not float32."""
    recorded = (run.summary or {}).get("hardware")
    recorded = recorded if isinstance(recorded, dict) else {"device": recorded}
    device, precision = recorded.get("device"), run.settings.get("precision", "no")
    processor = f"{recorded['cpu']}, {recorded['threads']} threads" if {"cpu", "threads"} <= recorded.keys() else ""
    where = processor if device in (None, "cpu") else str(device)
    return where if precision == "no" else f"{where}, {precision}".removeprefix(", ")


def _every(values: Iterable[Any]) -> str:
    return "; ".join(dict.fromkeys(str(value) for value in values if value))
