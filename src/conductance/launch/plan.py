"""The runs that are to be made."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from conductance.bounds import require_within
from conductance.errors import InputError
from conductance.presets import train_command
from conductance.runs import RunConfig, RunFolder
from conductance.runs.names import run_folder_name
from conductance.training import TensorBoard, train

MOST_SEEDS = 1000


@dataclass(frozen=True)
class PlannedRun:
    """A run that is to be made.

    Attributes:
        config: the complete run.
        path: its folder.
        command: the command that repeats it, for its record.
        data_dir: folder to search for its data set first.
        device: where it is trained: "auto", "cpu", "cuda" or "mps".
        tensorboard: whether it writes events for TensorBoard.
    """

    config: RunConfig
    path: Path
    command: str
    data_dir: Path | None = None
    device: str = "auto"
    tensorboard: bool = False

    @property
    def folder(self) -> RunFolder:
        """Its folder."""
        return RunFolder(self.path)

    @property
    def name(self) -> str:
        """Name and seed, in words."""
        return f"{self.config.name} seed {self.config.seed}"

    def train(self, console: Console) -> None:
        """Train it, or go on with it; see `conductance.training.train` for what it raises."""
        train(
            self.config,
            self.path,
            data_dir=self.data_dir,
            device=self.device,
            resume=True,
            console=console,
            command=self.command,
            callbacks=[TensorBoard()] if self.tensorboard else [],
        )


def plan_runs(
    configs: Iterable[RunConfig],
    seeds: int,
    out: str | Path,
    *,
    presets: Sequence[str | None] = (),
    data_dir: str | Path | None = None,
    device: str = "auto",
    tensorboard: bool = False,
) -> list[PlannedRun]:
    """Each of the configs with so many seeds, from its own on: all with the first seed, then all with the next.

    Args:
        configs: complete runs.
        seeds: how many of each.
        out: the folder that holds the folders of the runs, ``NAME-seedK``.
        presets: the preset that each config was made from.
        data_dir: folder to search for the data sets first.
        device: where to train.
        tensorboard: whether to write events for TensorBoard.

    Raises:
        InputError: no seeds, or two of the runs have the same name and seed.
        RunError: a folder holds another run. Nothing has been written.
    """
    if seeds < 1:
        raise InputError(f"seeds={seeds}: must be at least 1")
    require_within("seeds", seeds, MOST_SEEDS)
    configs, out = list(configs), Path(out).absolute()
    names = list(presets) or [None] * len(configs)
    place = None if data_dir is None else Path(data_dir).expanduser().absolute()
    runs = []
    for number in range(seeds):
        for config, preset in zip(configs, names, strict=True):
            seeded = replace(config, seed=config.seed + number)
            path = out / run_folder_name(seeded.name, seeded.seed)
            runs.append(PlannedRun(seeded, path, train_command(seeded, preset, place), place, device, tensorboard))
    twice = [run.name for run in runs if sum(other.path == run.path for other in runs) > 1]
    if twice:
        raise InputError(f"two of the runs are called {twice[0]}; give each preset once, and leave --name out")
    for run in runs:
        run.folder.check(run.config, resume=True)
    return runs
