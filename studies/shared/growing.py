"""A result that grows by a row for each run, so that a long study can be stopped and continued at any time."""

import csv
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from os import SEEK_END
from pathlib import Path
from typing import Any, TypeVar

import torch
from rich.console import Console
from rich.progress import track

from conductance.errors import InputError
from conductance.files import write_table
from conductance.runs.provenance import git_commit
from studies.shared.folder import StudyFolder

Case = TypeVar("Case")
"""A dataclass that says which run it is."""


def measure_missing(
    result: Path,
    cases: Iterable[Case],
    run: Callable[[Case], Mapping[str, Any]],
    *,
    command: str,
    console: Console | None = None,
) -> None:
    """Run the cases that have no row yet, on one thread, and append the row of each when it ends.

    Args:
        result: the CSV. Its first row makes the columns: the fields of a case, what ``run`` returns, and seconds,
            commit and command.
        cases: in the order in which to run them.
        run: from a case to its measurements.
        command: what to record as the command.
        console: where a bar shows.

    Raises:
        InputError: the CSV has other columns.
    """
    measured = [row.items() for row in read_rows(result)]
    missing = [case for case in cases if not any(_as_text(case).items() <= row for row in measured)]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for case in track(missing, "runs", console=console, disable=console is None):
            started = time.perf_counter()
            row = {**asdict(case), **run(case)}  # type: ignore[call-overload]
            row |= {"seconds": round(time.perf_counter() - started, 1), "commit": git_commit(), "command": command}
            _append(result, row)
    finally:
        torch.set_num_threads(threads)


def _append(result: Path, row: Mapping[str, Any]) -> None:
    if not result.exists():
        write_table(result, list(row), [])
    with result.open("r+", newline="") as file:
        columns = next(csv.reader(file))
        if set(columns) != set(row):
            differ = ", ".join(sorted(set(columns) ^ set(row)))
            raise InputError(f"{result}: its columns and those of a new row differ in {differ}; move the file away")
        file.seek(0, SEEK_END)
        csv.DictWriter(file, columns, lineterminator="\n").writerow(row)


def measure_study(folder: StudyFolder, cases: Iterable[Case], run: Callable[[Case], Mapping[str, Any]]) -> None:
    """`measure_missing` for the result of a study, with a bar."""
    measure_missing(folder.result, cases, run, command=folder.command, console=Console())


def measure_and_show(
    folder: StudyFolder,
    cases: Callable[[int], Iterable[Case]],
    train: Callable[[Case, Path | None], Mapping[str, Any]],
    show: Callable[[], None],
    *,
    seeds: int,
    description: str | None,
    arguments: Sequence[str] | None,
) -> None:
    """The command line of a study whose only choices are the number of seeds and where the data lie.

    Args:
        folder: of the study.
        cases: from the number of seeds to all runs.
        train: from a case and a folder of data to its measurements.
        show: writes table and figure of what has been measured.
        seeds: how many if none are asked for.
        description: what the study asks.
        arguments: of the command line; None for the program's.
    """
    chosen = folder.parser(description, seeds=seeds, reads_data=True).parse_args(arguments)
    measure_study(folder, cases(chosen.seeds), lambda case: train(case, chosen.data_dir))
    if read_rows(folder.result):
        show()


def read_rows(result: Path) -> list[dict[str, str]]:
    """All rows that have been measured."""
    if not result.exists():
        return []
    with result.open(newline="") as file:
        return list(csv.DictReader(file))


def _as_text(case: Any) -> dict[str, str]:
    return {name: str(value) for name, value in asdict(case).items()}
