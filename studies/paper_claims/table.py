"""What the runs say about each claim: differences on the same images, with intervals of images and seeds."""

from collections.abc import Mapping, Sequence

import numpy as np

from conductance.report.comparing import compare
from conductance.report.table import markdown_lines
from conductance.reproduction.claims import COLUMNS, NUMERIC, ONE_SEED, Finding, corrected
from studies.shared.answers import by_change
from studies.shared.short import HELD_OUT

CLASSES, SEEDS = 10, 3
RECIPE = "studies/paper_claims: 15,000 images, 5 epochs, validation"
CHANCE = "always one class"
CLAIMS = (
    ("Pixels clipped at 0 improve accuracy (section 4.1): cifar10, cnn", "pixels clipped at 0", "none"),
    ("Wider kernels, so more connections, might help (section 4.3): cifar10, cnn", "5x5 kernels", "none"),
    (
        "A resting potential other than 0 fails in convolutional networks (section 4.3): cifar10, cnn",
        "leak fixed, resting potential 0",
        "leak fixed, resting potential -0.4",
    ),
    ("A start with all g at 0 does not prevent learning (section 4.3): cifar10, cnn", "all g at 0", CHANCE),
)


def claims_of(rows: Sequence[Mapping[str, str]]) -> list[Finding]:
    """A finding for each claim; undecided where a side has been measured by one seed or by none."""
    answers = by_change(rows)
    answers[CHANCE] = [np.arange(HELD_OUT) % CLASSES == 0] * SEEDS  # the same by every seed
    found = []
    for text, above, below in CLAIMS:
        if not (answers.get(above) and answers.get(below)):
            found.append(Finding(text, "yes", RECIPE, obstacle="not measured"))
            continue
        comparison = compare(answers[above], answers[below])
        found.append(Finding(text, "yes", RECIPE, comparison, ONE_SEED if min(comparison.seeds) < 2 else ""))
    return corrected(found)


def table(rows: Sequence[Mapping[str, str]]) -> str:
    """The findings in Markdown."""
    return markdown_lines(COLUMNS, NUMERIC, [finding.line() for finding in claims_of(rows)])
