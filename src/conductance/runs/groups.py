"""Runs of one configuration, which differ only in their seeds."""

import os
import shlex
from collections.abc import Iterable, Iterator, Sequence
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
    """The runs of one configuration, finished and unfinished ones each in the order of their seeds.

    `folder` is empty unless other folders hold runs of the same name and seeds.
    """

    dataset: str
    architecture: str
    family: str
    name: str
    epochs: int
    finished: tuple[Run, ...]
    unfinished: tuple[Run, ...]
    folder: str = ""

    @property
    def summaries(self) -> list[Record]:
        """The summaries of the finished runs."""
        return [run.summary for run in self.finished if run.summary is not None]

    @property
    def label(self) -> str:
        """What distinguishes it from other groups with its data set, architecture and number of epochs."""
        return label(self.dataset, self.architecture, self.family, self.name, self.folder)

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


def label(dataset: str, architecture: str, family: str, name: str, folder: str = "") -> str:
    """The family, what a run's name adds to its preset's (the whole name where it has another form), and a folder.

    >>> label("mnist", "cnn", "cwa", "mnist-cnn-cwa"), label("mnist", "cnn", "cwa", "mnist-cnn-cwa-long", "mine")
    ('cwa', 'cwa · long · mine')
    """
    preset = preset_name(dataset, architecture, family)
    added = "" if name == preset else name.removeprefix(f"{preset}-")
    return " · ".join(filter(None, (family, added, folder)))


def group_runs(runs: Iterable[Run]) -> list[Group]:
    """One group for each data set, architecture, family, name and number of epochs, in that order.

    Runs of different lengths stay apart: their mean would describe neither. Where two folders hold finished runs of the
    same name and seed, each folder has a group of its own.

    Raises:
        RunError: one folder holds two finished runs of a group with the same seed.
    """
    members: dict[tuple[str, str, str, str, int], list[Run]] = {}
    for run in sorted(runs, key=lambda run: (run.seed, run.path)):
        members.setdefault((*run.kind, run.settings["name"], run.settings["epochs"]), []).append(run)
    return [
        Group(
            *key,
            finished=tuple(run for run in alike if run.finished),
            unfinished=tuple(run for run in alike if not run.finished),
            folder=folder,
        )
        for key in sorted(members)
        for folder, alike in _apart(members[key])
    ]


def _apart(runs: Sequence[Run]) -> Iterator[tuple[str, Sequence[Run]]]:
    """All runs, or those of each folder if they share seeds, with what distinguishes the folder's path."""
    repeated = _repeated_seed(runs)
    folders = sorted({run.path.parent for run in runs})
    if repeated is None:
        yield "", runs
        return
    common = os.path.commonpath(folders)
    for folder in folders:
        inside = [run for run in runs if run.path.parent == folder]
        if repeated := _repeated_seed(inside):
            first, second = repeated
            raise RunError(
                f"{first.path} and {second.path} both hold {first.settings['name']!r} with seed {first.seed}, "
                "and counting a seed twice would understate the spread; leave one out, or rename one"
            )
        yield folder.name if str(folder) == common else folder.relative_to(common).as_posix(), inside


def _repeated_seed(runs: Iterable[Run]) -> tuple[Run, Run] | None:
    """Two finished runs with the same seed, if there are any."""
    first: dict[int, Run] = {}
    for run in runs:
        if run.finished and first.setdefault(run.seed, run) is not run:
            return first[run.seed], run
    return None


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
