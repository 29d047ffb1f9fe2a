"""The paper's tables with what was measured beside them, as CSV, as Markdown and for a terminal."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any

from conductance.extras import import_extra
from conductance.files import write_table, write_text
from conductance.report.rows import spread
from conductance.report.table import NOTHING, Column, duration, markdown_of, percent, with_spread

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from rich.table import Table

    from conductance.runs.groups import Group
    from conductance.runs.run import Run


@dataclass(frozen=True)
class PaperRow:
    """One cell of the paper and, where ``seeds`` is not 0, what one recipe gave; accuracies in %.

    Attributes:
        table: table1 or table2.
        dataset: of the cell.
        architecture: of the cell.
        family: of the cell.
        recipe: how it was trained; a run of fewer epochs than its recipe's says ``short`` here, of more ``long``, and
            how many; runs that differ in their name alone say that too.
        epochs: passes over the training images, ``least-most`` where seeds stopped at different ones.
        seeds: how many finished runs; 0 for a cell that nobody has measured.
        mean: test accuracy after the last epoch, over the seeds; None where there are none.
        std: its sample standard deviation; None for fewer than two seeds.
        best_mean: the mean of each run's best epoch, which was picked on the test images.
        paper: what the paper has.
        reached: after which epoch a run first had as much, ``least-most`` over the seeds; empty where one never had.
        seconds_per_run: mean over the seeds.
        hardware: every kind recorded, with the precision of the products where it is not float32.
        commit: every one recorded.
        command: every one recorded.
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


SHORT, LONG = "short: ", "long: "


def measured_row(table: str, paper: float, group: Group, recipe: str, full_epochs: int) -> PaperRow:
    """The row of the finished runs of one configuration, by a recipe that has ``full_epochs``."""
    summaries = group.summaries
    accuracies = [summary["test_accuracy"] for summary in summaries]
    length = ""
    if group.epochs != full_epochs:
        length = f"; {SHORT if group.epochs < full_epochs else LONG}{group.epochs} of {full_epochs} epochs"
    return PaperRow(
        table,
        group.dataset,
        group.architecture,
        group.family,
        recipe + length,
        epochs=_range([len(run.epochs) for run in group.finished]),
        seeds=len(summaries),
        mean=fmean(accuracies),
        std=spread(accuracies),
        best_mean=fmean(summary["best_test_accuracy"] for summary in summaries),
        paper=paper,
        reached=_range([_first_epoch_at(paper, run) for run in group.finished]),
        seconds_per_run=fmean(summary["seconds"] for summary in summaries),
        hardware=_every(map(_hardware, group.finished)),
        commit=_every(summary.get("git_commit") for summary in summaries),
        command=_every(summary.get("command") for summary in summaries),
    )


def open_row(table: str, dataset: str, architecture: str, family: str, paper: float, why: str) -> PaperRow:
    """The row of a cell without a finished run."""
    return PaperRow(table, dataset, architecture, family, why, "", 0, None, None, None, paper, "", None, "", "", "")


def _first_epoch_at(accuracy: float, run: Run) -> int | None:
    return next((epoch["epoch"] for epoch in run.epochs if epoch["test_accuracy"] >= accuracy), None)


def _range(numbers: Sequence[int | None]) -> str:
    """``least-most``, or the one number that all are; nothing where one is unknown."""
    known = [number for number in numbers if number is not None]
    return "-".join(map(str, sorted({min(known), max(known)}))) if len(known) == len(numbers) else ""


def _hardware(run: Run) -> str:
    """The device, and the precision of the products where it is not float32."""
    recorded = (run.summary or {}).get("hardware")
    recorded = recorded if isinstance(recorded, dict) else {"device": recorded}
    device, precision = recorded.get("device"), run.settings.get("precision", "no")
    processor = f"{recorded['cpu']}, {recorded['threads']} threads" if {"cpu", "threads"} <= recorded.keys() else ""
    where = processor if device in (None, "cpu") else str(device)
    return where if precision == "no" else f"{where}, {precision}".removeprefix(", ")


def _every(values: Iterable[Any]) -> str:
    return "; ".join(dict.fromkeys(str(value) for value in values if value))


def write_paper_csv(rows: Sequence[PaperRow], path: Path) -> Path:
    """The measured rows: accuracies to 0.001 points, times to 0.1 s. Cells that are open have no line."""
    digits = {"mean": 3, "std": 3, "best_mean": 3, "seconds_per_run": 1}
    records = [asdict(row) for row in rows if row.seeds]
    for record in records:
        record |= {name: round(record[name], n) for name, n in digits.items() if record[name] is not None}
    write_table(path, list(PaperRow.__annotations__), records)
    return path


PAPER_COLUMNS: tuple[Column[PaperRow], ...] = (
    Column("Data", lambda row: row.dataset),
    Column("Network", lambda row: row.architecture),
    Column("Family", lambda row: row.family),
    Column("Paper %", lambda row: f"{row.paper:.2f}", numeric=True),
    Column("Here %", lambda row: with_spread(row.mean, row.std), numeric=True),
    Column("Difference", lambda row: NOTHING if row.difference is None else f"{row.difference:+.2f}", numeric=True),
    Column("Best %", lambda row: percent(row.best_mean), numeric=True),
    Column("Seeds", lambda row: str(row.seeds), numeric=True),
    Column("Epochs", lambda row: row.epochs or NOTHING, numeric=True),
    Column("Paper's figure after", lambda row: row.reached or NOTHING, numeric=True),
    Column("Time", lambda row: duration(row.seconds_per_run), numeric=True),
    Column("Recipe", lambda row: row.recipe),
)


def write_paper_markdown(rows: Sequence[PaperRow], path: Path) -> Path:
    """All rows, the open ones too, as a GitHub-flavoured table."""
    write_text(path, markdown_of(PAPER_COLUMNS, rows))
    return path


def terminal_paper_table(rows: Sequence[PaperRow]) -> Table:
    """What fits on a narrow screen, as a rich table, for `rich.print`."""
    import_extra("rich", "to show a table", "report")
    from rich.table import Table
    from rich.text import Text

    columns = [column for column in PAPER_COLUMNS if column.heading in ("Paper %", "Here %", "Seeds", "Recipe")]
    table = Table("Cell", box=None)
    for column in columns:
        table.add_column(column.heading, justify="right" if column.numeric else "left", no_wrap=column.numeric)
    for row in rows:
        table.add_row("-".join(row.kind), *(Text(column.text(row)) for column in columns))
    return table
