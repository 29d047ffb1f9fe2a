"""One row of numbers for each configuration."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from conductance.runs.differences import HARDWARE_FIELDS
from conductance.runs.groups import Group, group_runs, label
from conductance.runs.run import Run


@dataclass(frozen=True)
class Row:
    """A configuration over its seeds: accuracies in %, means over the finished runs.

    Where no run has finished, `seeds` is empty and the numbers are None. `test_accuracy_std`, the sample standard
    deviation, is also None for a single seed. `unfinished` says how far each unfinished run is, `varying` in which
    settings the finished ones differ, `mixes` which precisions or commits they do not share. `folder` is empty unless
    other folders hold runs of the same name and seeds.
    """

    dataset: str
    architecture: str
    family: str
    name: str
    epochs: int
    seeds: tuple[int, ...]
    test_accuracy: float | None
    test_accuracy_std: float | None
    best_test_accuracy: float | None
    train_accuracy: float | None
    seconds: float | None
    parameters: int | None
    unfinished: tuple[str, ...]
    varying: tuple[str, ...]
    folder: str = ""
    mixes: str = ""

    @property
    def label(self) -> str:
        """What distinguishes it from other rows with its data set, architecture and number of epochs."""
        return label(self.dataset, self.architecture, self.family, self.name, self.folder)


def summarize(runs: Iterable[Run]) -> list[Row]:
    """A row for each configuration among `runs`, by data set, architecture, family and name."""
    return [row_of(group) for group in group_runs(runs)]


def row_of(group: Group) -> Row:
    """The row of one configuration."""
    summaries = group.summaries

    def mean(key: str) -> float | None:
        return fmean(summary[key] for summary in summaries) if summaries else None

    return Row(
        dataset=group.dataset,
        architecture=group.architecture,
        family=group.family,
        name=group.name,
        epochs=group.epochs,
        seeds=tuple(run.seed for run in group.finished),
        test_accuracy=mean("test_accuracy"),
        test_accuracy_std=spread([summary["test_accuracy"] for summary in summaries]),
        best_test_accuracy=mean("best_test_accuracy"),
        train_accuracy=mean("train_accuracy"),
        seconds=mean("seconds"),
        parameters=summaries[0]["parameters"] if summaries else None,
        unfinished=tuple(run.progress for run in group.unfinished),
        varying=tuple(f"{name} {variants}" for name, variants in group.varying.items() if name not in HARDWARE_FIELDS),
        folder=group.folder,
        mixes=mixture(group),
    )


PRECISIONS = {"no": "float32"}


def mixture(group: Group) -> str:
    """What the finished runs of one configuration do not share: precisions, commits; empty where they share both."""
    precisions = dict.fromkeys(str(run.settings.get("precision", "no")) for run in group.finished)
    commits = {summary.get("git_commit") for summary in group.summaries}
    return ", ".join([
        *([" and ".join(PRECISIONS.get(name, name) for name in precisions)] if len(precisions) > 1 else []),
        *([f"{len(commits)} commits"] if len(commits) > 1 else []),
    ])  # fmt: skip


def spread(values: Sequence[float]) -> float | None:
    """The sample standard deviation; None for fewer than two values."""
    return stdev(values) if len(values) > 1 else None
