"""``conductance reproduce``: train the networks of one of the paper's tables."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from conductance.cli.arguments import parse
from conductance.cli.console import console
from conductance.cli.interruption import resumable
from conductance.cli.report import write_paper_tables
from conductance.errors import InputError


@dataclass
class ReproduceArguments:
    """Train the networks of one of the paper's tables, and print the result beside the paper's.

    Finished runs are not repeated and stopped runs continue. Several processes may share one --out.
    """

    table: tyro.conf.Positional[Literal["table1", "table2"]]
    """table of the paper"""
    recipe: str = "presets"
    """presets (of this package), paper (section 4.3 exactly) or paper-alive (the same with a resting potential of 0 in
    networks that would otherwise contain layers without any open synapse)"""
    cells: str = ""
    """cells of the table, such as mnist-cnn-cwa,cifar10-cnn-cwa; all if not given"""
    seeds: int = 3
    """runs of each cell: seeds 0, 1, ..."""
    epochs: int | None = None
    """epochs of each run; the recipe's if not given. Tables mark runs with fewer epochs as short"""
    precision: Literal["no", "bf16", "fp16"] = "no"
    """mixed precision of runs that have not started; bf16 takes 0.5 to 1 of the time on processors that support it"""
    data_dir: Path | None = None
    """folder to search for the data sets first"""
    out: Path = Path("reproduction")
    """folder for all runs and tables; each run is in RECIPE/NAME-seedK"""
    device: str = "auto"
    """auto (a GPU if there is one), cpu, cuda or mps"""
    plan: bool = False
    """train nothing: list the runs, their state and the time left"""


def run(arguments: list[str]) -> None:
    """Train what is missing, or list it."""
    chosen = parse(ReproduceArguments, "reproduce", arguments)
    names = list(filter(None, (name.strip() for name in chosen.cells.split(","))))
    if chosen.cells and not names:
        raise InputError(f"cells={chosen.cells!r} names no cell; leave --cells out for the whole table")
    from conductance.reproduction import (
        get_recipe,
        paper_rows,
        plan_jobs,
        plan_table,
        select_cells,
        terminal_paper_table,
        train_all,
    )
    from conductance.runs import load_runs

    cells = select_cells(chosen.table, names)
    jobs = plan_jobs(cells, get_recipe(chosen.recipe), chosen.seeds, chosen.out, chosen.epochs, chosen.precision)
    if chosen.plan:
        console.print(plan_table(jobs))
        return
    with resumable(console, ["conductance", "reproduce", *arguments], chosen.out):
        train_all(jobs, data_dir=chosen.data_dir, device=chosen.device, console=console)
    if any(job.folder.started for job in jobs):
        finished = load_runs([chosen.out])
        console.print(terminal_paper_table(paper_rows(chosen.table, finished)))
        write_paper_tables([chosen.out], finished)
