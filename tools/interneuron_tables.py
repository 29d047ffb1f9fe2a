"""What a pooled interneuron is worth in whole runs of this version: three tables."""

from collections.abc import Mapping, Sequence
from itertools import chain
from statistics import fmean

import numpy as np

from conductance.data import DATASETS
from conductance.report.comparing import compare
from conductance.report.table import NOTHING, markdown_lines
from conductance.reproduction.claims import COLUMNS, ONE_SEED, Finding, corrected
from conductance.runs import Run
from conductance.runs.names import preset_name

PLAIN, POOLED, BATCHNORM = "cwa", "cwa-pooled", "affine_bn"
NAMES = {PLAIN: "conductances (CWA)", POOLED: "with a pooled interneuron", BATCHNORM: "affine + BatchNorm"}
CLAIMS = (
    ("A pooled interneuron improves CWA", POOLED, PLAIN),
    ("Affine + BatchNorm is above CWA", BATCHNORM, PLAIN),
    ("Affine + BatchNorm is above CWA with a pooled interneuron", BATCHNORM, POOLED),
)
AFTER = (1, 2, 5, 10, 15, 20, 25, 30)
"""Epochs after which to show how far networks are."""

Cell = tuple[str, str]
"""Data set and architecture."""
Members = Mapping[str, Sequence[Run]]
"""The finished runs of one cell, by kind of network."""


def by_cell(runs: Sequence[Run]) -> dict[Cell, Members]:
    """The runs of each data set and architecture of which a run has an interneuron."""
    finished: dict[str, list[Run]] = {}
    for run in runs:
        if run.finished:
            finished.setdefault(run.settings["name"], []).append(run)
    cells = dict.fromkeys((run.kind[0], run.kind[1]) for run in runs)
    found = {cell: {kind: finished.get(preset_name(*cell, kind), []) for kind in NAMES} for cell in cells}
    return {cell: members for cell, members in found.items() if members[POOLED]}


def answers(runs: Sequence[Run]) -> list[np.ndarray]:
    """Whether each test image is answered right, for each run that kept its answers."""
    return [run.predictions.correct for run in runs if run.predictions is not None]


def comparisons(runs: Sequence[Run]) -> str:
    """Whether an interneuron helps, and whether BatchNorm is still ahead: on the same images, corrected (Holm).

    By one seed each nothing is decided; whether those two networks differ, exactly (McNemar), has a column of its own.
    """
    found = []
    for cell, members in by_cell(runs).items():
        kept = {kind: answers(group) for kind, group in members.items()}
        for text, above, below in CLAIMS:
            if kept[above] and kept[below]:
                obstacle = ONE_SEED if min(len(kept[above]), len(kept[below])) < 2 else ""
                claim = f"{text}: {', '.join(cell)}"
                found.append(Finding(claim, NOTHING, "presets", compare(kept[above], kept[below]), obstacle))
    shown = ("Claim of the paper", "Here", "95 % interval", "p (Holm)", "Seeds", "Verdict")
    cells = []
    for finding in corrected(found):
        line = dict(zip(COLUMNS, finding.line(), strict=True))
        cells.append([*(line[heading] for heading in shown), _of_two_networks(finding)])
    headings = ("Claim", *shown[1:], "p of the two networks")
    return markdown_lines(headings, (False, True, True, True, True, False, True), cells)


def _of_two_networks(finding: Finding) -> str:
    found = finding.comparison
    if found is None or found.seeds != (1, 1):
        return NOTHING
    return f"{found.p:.2g}"


def classes(runs: Sequence[Run]) -> str:
    """The accuracy of each class, and what an interneuron adds to it: corrected for all classes of a cell (Holm).

    Only where there are two seeds of both: one seed says little about a class.
    """
    cells = []
    for cell, members in by_cell(runs).items():
        kept = {kind: answers(group) for kind, group in members.items() if answers(group)}
        labels = [run.predictions.labels for run in chain(*members.values()) if run.predictions is not None]
        if min(len(kept.get(kind, [])) for kind in (PLAIN, POOLED)) < 2:
            continue
        found = []
        for label, name in enumerate(DATASETS[cell[0]].classes):
            of_class = {kind: [each[labels[0] == label] for each in group] for kind, group in kept.items()}
            found.append(Finding(name, NOTHING, "presets", compare(of_class[POOLED], of_class[PLAIN])))
            accuracies = (
                f"{100 * fmean(each.mean() for each in of_class[kind]):.1f}" if kind in of_class else NOTHING
                for kind in NAMES
            )
            cells.append([*cell, name, *accuracies])
        for row, finding in zip(cells[-len(found) :], corrected(found), strict=True):
            line = dict(zip(COLUMNS, finding.line(), strict=True))
            row += [line[heading] for heading in ("Here", "95 % interval", "p (Holm)")]
    headings = ("Data", "Network", "Class", *NAMES.values(), "Gained", "95 % interval", "p (Holm)")
    return markdown_lines(headings, (False,) * 3 + (True,) * 6, cells)


def epochs(runs: Sequence[Run]) -> str:
    """How the test accuracies come about: means over seeds after some epochs, and how far each is below BatchNorm."""
    cells = []
    for cell, members in by_cell(runs).items():
        for after in AFTER:
            means = {
                kind: fmean(run.epochs[after - 1]["test_accuracy"] for run in group)
                for kind, group in members.items()
                if group and all(len(run.epochs) >= after for run in group)
            }
            if not means.keys() >= {POOLED}:
                continue
            accuracies = [f"{means[kind]:.2f}" if kind in means else NOTHING for kind in NAMES]
            below = [
                f"{means[BATCHNORM] - means[kind]:+.2f}" if {BATCHNORM, kind} <= means.keys() else NOTHING
                for kind in (PLAIN, POOLED)
            ]
            cells.append([*cell, str(after), *accuracies, *below])
    gaps = ("BatchNorm above CWA", "BatchNorm above pooled")
    headings = ("Data", "Network", "Epoch", *NAMES.values(), *gaps)
    return markdown_lines(headings, (False, False, *[True] * 6), cells)
