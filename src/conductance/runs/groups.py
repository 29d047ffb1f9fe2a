"""Runs of one configuration, told apart only by their seeds."""

from collections.abc import Iterable
from dataclasses import dataclass

from conductance.errors import RunError
from conductance.runs.fields import preset_name
from conductance.runs.read import Run
from conductance.runs.records import Record


@dataclass(frozen=True)
class Group:
    """The runs of one configuration, each kind in the order of its seeds."""

    dataset: str
    architecture: str
    family: str
    name: str
    epochs: int
    finished: tuple[Run, ...]
    unfinished: tuple[Run, ...]

    @property
    def summaries(self) -> list[Record]:
        """The summaries of the finished runs."""
        return [run.summary for run in self.finished if run.summary is not None]


def label(dataset: str, architecture: str, family: str, name: str) -> str:
    """The family, and what the name of runs adds to their preset's; a name of another kind whole."""
    preset = preset_name(dataset, architecture, family)
    return family if name == preset else f"{family} · {name.removeprefix(f'{preset}-')}"


def group_runs(runs: Iterable[Run]) -> list[Group]:
    """One group for each data set, architecture, family, name and number of epochs, in that order.

    Trainings of different lengths stay apart: their mean would describe neither.
    """
    members: dict[tuple[str, str, str, str, int], list[Run]] = {}
    for run in sorted(runs, key=lambda run: (run.seed, run.path)):
        config = run.config
        key = (
            config["data"]["dataset"],
            config["model"]["architecture"],
            config["model"]["family"],
            config["name"],
            config["epochs"],
        )
        members.setdefault(key, []).append(run)
    return [_group(*key, members[key]) for key in sorted(members)]


def _group(dataset: str, architecture: str, family: str, name: str, epochs: int, runs: list[Run]) -> Group:
    finished = tuple(run for run in runs if run.finished)
    unfinished = tuple(run for run in runs if not run.finished)
    _refuse_repeated_seeds(finished)
    return Group(dataset, architecture, family, name, epochs, finished, unfinished)


def _refuse_repeated_seeds(runs: tuple[Run, ...]) -> None:
    first: dict[int, Run] = {}
    for run in runs:
        if run.seed in first:
            raise RunError(
                f"{first[run.seed].path} and {run.path} both hold {run.config['name']!r} with seed {run.seed}, "
                "and counting a seed twice would understate the spread; leave one out, or rename one"
            )
        first[run.seed] = run
