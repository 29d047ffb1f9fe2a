"""``conductance demo``: conductance and affine networks on 1,797 real digits, in a few minutes on two cores."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from conductance.cli import report
from conductance.cli.arguments import parse
from conductance.cli.console import console
from conductance.cli.interruption import resumable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conductance.runs import RunConfig

FAMILIES = ("cwa", "affine", "affine_bn")
SEEDS = (0, 1, 2)


@dataclass
class DemoArguments:
    """Train conductance and affine networks on 1,797 real digits and compare them, in under three minutes.

    The digits come with scikit-learn: nothing is downloaded. Finished runs are not repeated.
    """

    out: Path = Path("demo")
    """folder for the runs and report.html"""
    device: str = "auto"
    """auto (a GPU if there is one), cpu, cuda or mps"""


def run(arguments: list[str]) -> None:
    """Train what is missing, and write the report."""
    chosen = parse(DemoArguments, "demo", arguments)
    runs = demo_runs()
    with resumable(console, ["conductance", "demo", *arguments], chosen.out):
        train_all(runs, chosen.out, device=chosen.device, console=console)
    report.compare([chosen.out / "runs"], chosen.out / "report.html")


def demo_runs() -> "list[RunConfig]":
    """FCN and CNN of each family, with each seed."""
    from conductance.presets import get_preset

    presets = [get_preset(f"digits-{architecture}-{family}") for architecture in ("fcn", "cnn") for family in FAMILIES]
    return [replace(preset, seed=seed) for preset in presets for seed in SEEDS]


def train_all(
    runs: "Sequence[RunConfig]", out: Path, *, device: str = "auto", console: Console | None = None
) -> list[dict[str, Any]]:
    """Train the runs that are not finished in ``out``.

    Returns:
        The summary of each run.
    """
    from conductance.presets import train_command
    from conductance.runs.names import run_folder_name
    from conductance.training import train

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    summaries = []
    with Progress(*columns, console=console, disable=console is None) as progress:
        task = progress.add_task("training", total=len(runs))
        for config in runs:
            progress.update(task, description=f"{config.name:<20} seed {config.seed}")
            folder = out / "runs" / run_folder_name(config.name, config.seed)
            summaries.append(train(config, folder, device=device, resume=True, command=train_command(config)))
            progress.advance(task)
    return summaries
