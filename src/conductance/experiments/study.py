"""Many runs that make one table: each in a folder of its own, what is missing trained, what is done read."""

import argparse
import csv
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from conductance.files import write_table
from conductance.training import RunConfig, train
from conductance.training.run_folder import RunFolder

Rows = list[dict[str, Any]]

KEY = ("architecture", "family", "change")
"""The columns by which a study's table tells its rows apart."""


def folder_of(config: RunConfig, runs: Path) -> Path:
    """Where a run lies: below ``runs``, by its name and seed."""
    return runs / f"{config.name}-seed{config.seed}".replace(" ", "-").replace(",", "")


def train_missing(configs: Iterable[RunConfig], runs: Path, command: str, console: Console | None = None) -> None:
    """Train what is missing, go on with what was cut off, leave what is done."""
    for config in configs:
        folder = folder_of(config, runs)
        train(config, folder, resume=folder.exists(), console=console, command=command)


def finished(configs: Iterable[RunConfig], runs: Path) -> Rows:
    """The summaries of the runs that are done."""
    folders = [RunFolder(folder_of(config, runs)) for config in configs]
    return [folder.read_json(folder.summary_file) for folder in folders if folder.finished]


def command_line(
    description: str | None,
    run: Callable[[int, Collection[str]], None],
    table: Callable[[int], Rows],
    file: Path,
    arguments: Sequence[str] | None = None,
) -> None:
    """``--seeds N``, ``--only CHANGE ...`` and ``--table-only``: train what is missing, and write the table.

    Rows of the file that no run at hand replaces stay: they were measured elsewhere.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--only", nargs="+", default=(), metavar="CHANGE", help="train these rows alone")
    parser.add_argument("--table-only", action="store_true", help="train nothing; make the table of what is done")
    choices = parser.parse_args(arguments)
    if not choices.table_only:
        run(choices.seeds, choices.only)
    rows = table(choices.seeds)
    if rows:
        write_table(file, list(rows[0]), [*_measured_elsewhere(file, rows), *rows])


def _measured_elsewhere(file: Path, rows: Rows) -> Rows:
    if not file.exists():
        return []
    here = {tuple(row[name] for name in KEY) for row in rows}
    with file.open(newline="") as lines:
        return [row for row in csv.DictReader(lines) if tuple(row[name] for name in KEY) not in here]
