"""The demonstration: conductance and affine networks on 1,797 real digits, in a few minutes on two cores."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from conductance.presets.command import train_command
from conductance.presets.named import get_preset
from conductance.runs import RunConfig
from conductance.runs.names import run_folder_name
from conductance.training import train

FAMILIES = ("cwa", "affine", "affine_bn")
SEEDS = (0, 1, 2)


def demo_runs() -> list[RunConfig]:
    """FCN and CNN of each family, with each seed."""
    presets = [get_preset(f"digits-{architecture}-{family}") for architecture in ("fcn", "cnn") for family in FAMILIES]
    return [replace(preset, seed=seed) for preset in presets for seed in SEEDS]


def run_demo(out: Path, *, device: str = "auto", console: Console | None = None) -> list[dict[str, Any]]:
    """Train all of `demo_runs` below ``out``; what is already there is not done again.

    Returns:
        The summary of each run.
    """
    runs = demo_runs()
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
            command = train_command(config)
            summaries.append(train(config, folder, device=device, resume=True, command=command))
            progress.advance(task)
    return summaries
