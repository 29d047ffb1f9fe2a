"""Runs of one configuration, which differ only in their seeds."""

import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from conductance.errors import RunError
from conductance.runs.differences import flat_fields
from conductance.runs.names import preset_name
from conductance.runs.run import Run
from conductance.runs.schema import Record

UNRECORDED = "not recorded"


@dataclass(frozen=True)
class Group:
    """The runs of one configuration, finished and unfinished ones each in the order of their seeds."""

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

    @property
    def label(self) -> str:
        """The family, and what the runs' name adds to the name of their preset."""
        return label(self.dataset, self.architecture, self.family, self.name)

    def recorded(self, field: str) -> list[str]:
        """What the finished runs recorded in a field of their summaries, as text; each value once."""
        return _distinct(_text(summary.get(field)) for summary in self.summaries)

    @property
    def commands(self) -> list[str]:
        """The commands that made the finished runs."""
        return _distinct(_command(summary.get("command")) for summary in self.summaries)

    @property
    def parameters(self) -> list[str]:
        """How many parameters the networks have; one number unless the runs differ."""
        return _distinct(f"{summary['parameters']:,}" for summary in self.summaries)

    @property
    def varying(self) -> dict[str, str]:
        """Settings other than the seed in which the finished runs differ, with their values.

        A run of an earlier version that had no such setting does not count as different.
        """
        flat = [flat_fields(run.settings) for run in self.finished]
        names = _distinct(name for settings in flat for name in settings if name != "seed")
        values = {name: _distinct(_setting(settings[name]) for settings in flat if name in settings) for name in names}
        return {name: " / ".join(variants) for name, variants in values.items() if len(variants) > 1}


def label(dataset: str, architecture: str, family: str, name: str) -> str:
    """The family, and what a run's name adds to the name of its preset; the whole name where it has another form.

    >>> label("mnist", "cnn", "cwa", "mnist-cnn-cwa"), label("mnist", "cnn", "cwa", "mnist-cnn-cwa-long")
    ('cwa', 'cwa · long')
    """
    preset = preset_name(dataset, architecture, family)
    return family if name == preset else f"{family} · {name.removeprefix(f'{preset}-')}"


def group_runs(runs: Iterable[Run]) -> list[Group]:
    """One group for each data set, architecture, family, name and number of epochs, in that order.

    Runs of different lengths stay apart: their mean would describe neither.

    Raises:
        RunError: two finished runs of a group have the same seed.
    """
    members: dict[tuple[str, str, str, str, int], list[Run]] = {}
    for run in sorted(runs, key=lambda run: (run.seed, run.path)):
        members.setdefault((*run.kind, run.settings["name"], run.settings["epochs"]), []).append(run)
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
                f"{first[run.seed].path} and {run.path} both hold {run.settings['name']!r} with seed {run.seed}, "
                "and counting a seed twice would understate the spread; leave one out, or rename one"
            )
        first[run.seed] = run


def _setting(value: Any) -> str:
    return "left out" if value is None else _text(value)


def _command(value: Any) -> str:
    return shlex.join(map(str, value)) if isinstance(value, list) else _text(value)


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(item)}" for key, item in value.items() if item is not None)
    return UNRECORDED if value in (None, "") else str(value)


def _distinct(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))
