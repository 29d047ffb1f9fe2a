"""Many runs that make one table: each in a folder of its own, what is missing trained, what is done read."""

import argparse
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from conductance.files import write_table
from conductance.training import RunConfig, train
from conductance.training.run_folder import RunFolder

Rows = list[dict[str, Any]]


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
    run: Callable[[int], None],
    table: Callable[[int], Rows],
    file: Path,
    arguments: Sequence[str] | None = None,
) -> None:
    """``--seeds N`` and ``--table-only``: train what is missing unless told not to, and write the table."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--table-only", action="store_true", help="train nothing; make the table of what is done")
    choices = parser.parse_args(arguments)
    if not choices.table_only:
        run(choices.seeds)
    rows = table(choices.seeds)
    if rows:
        write_table(file, list(rows[0]), rows)
