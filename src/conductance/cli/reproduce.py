"""``conductance reproduce``: train the networks of one of the paper's tables."""

import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from conductance.cli.arguments import parse
from conductance.cli.console import console
from conductance.cli.interruption import resumable
from conductance.cli.launching import end_with, launch_all
from conductance.cli.report import write_paper_tables
from conductance.errors import InputError
from conductance.launch.options import LaunchOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conductance.launch.plan import PlannedRun
    from conductance.reproduction import Job


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
    launch: Annotated[LaunchOptions, tyro.conf.arg(name="")] = field(default_factory=LaunchOptions)


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
    again, states = ["conductance", "reproduce", *arguments], []
    if chosen.launch.cluster is None:
        with resumable(console, again, chosen.out):
            train_all(jobs, data_dir=chosen.data_dir, device=chosen.device, console=console)
    else:
        runs = _planned(jobs, chosen.data_dir, chosen.device)
        states = launch_all(runs, chosen.out, chosen.launch, console, again)
    if any(job.folder.started for job in jobs):
        finished = load_runs([chosen.out])
        console.print(terminal_paper_table(paper_rows(chosen.table, finished)))
        write_paper_tables([chosen.out], finished)
    end_with(states, console)


def _planned(jobs: "Sequence[Job]", data_dir: Path | None, device: str) -> "list[PlannedRun]":
    """The jobs whose family this version has, as they are launched on a cluster."""
    from conductance.launch.plan import PlannedRun
    from conductance.presets import train_command
    from conductance.reproduction.train import warnings_before

    for job in jobs:
        if job.config is None:
            console.print(f"{job.name}: family {job.cell.family} not available, left out", highlight=False)
    for message in warnings_before(jobs, data_dir):
        warnings.warn(message, stacklevel=2)
    place = None if data_dir is None else data_dir.expanduser().absolute()
    return [
        PlannedRun(job.config, job.folder.path.absolute(), train_command(job.config), place, device)
        for job in jobs
        if job.config is not None
    ]
