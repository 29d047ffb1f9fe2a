"""What the paper concludes from its tables, as comparisons of two cells, and whether our runs agree."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import isnan
from typing import Literal

import numpy as np

from conductance.report.comparing import Comparison, by_seeds, compare, holm
from conductance.report.table import NOTHING, markdown_lines
from conductance.reproduction.paper import TABLES
from conductance.reproduction.rows import PaperRow

COLUMNS = ("Claim of the paper", "Paper", "Here", "95 % interval", "p (Holm)", "Seeds", "Recipe", "Verdict")
NUMERIC = (False, True, True, True, True, True, False, False)

SIGNIFICANCE = 0.05

Verdict = Literal["supported", "contradicted", "undecided"]

NOT_MEASURED = "not measured"
NO_ANSWERS = "no per-image predictions"
ONE_SEED = "one seed"


@dataclass(frozen=True)
class Claim:
    """The claim that one cell of a table is above another.

    Attributes:
        text: the claim as a sentence.
        table: the table of both cells.
        above: data set, architecture and family of the higher cell.
        below: data set, architecture and family of the lower cell.
    """

    text: str
    table: str
    above: tuple[str, str, str]
    below: tuple[str, str, str]

    @property
    def paper(self) -> float:
        """The difference in the paper, in points."""
        figures = self._figures()
        return figures[self.above] - figures[self.below]

    @property
    def known(self) -> bool:
        """Whether the table has both cells."""
        return {self.above, self.below} <= self._figures().keys()

    def _figures(self) -> dict[tuple[str, str, str], float]:
        return {cell.kind: cell.paper for cell in TABLES[self.table]}


CLAIMS = (
    *(
        Claim(
            f"Affine + BatchNorm is above CWA: {dataset}, {architecture}",
            "table1",
            (dataset, architecture, "affine_bn"),
            (dataset, architecture, "cwa"),
        )
        for dataset in ("mnist", "cifar10")
        for architecture in ("fcn", "cnn", "resnet18")
    ),
    *(
        Claim(
            f"Without BatchNorm, affine networks are below CWA: cifar10, {architecture}",
            "table1",
            ("cifar10", architecture, "cwa"),
            ("cifar10", architecture, "affine"),
        )
        for architecture in ("cnn", "resnet18")
    ),
    Claim(
        "Without BatchNorm, the affine network is above CWA: cifar10, fcn",
        "table1",
        ("cifar10", "fcn", "affine"),
        ("cifar10", "fcn", "cwa"),
    ),
    Claim("BatchNorm improves CWA: cifar10, fcn", "table1", ("cifar10", "fcn", "cwa_bn"), ("cifar10", "fcn", "cwa")),
    Claim("CWA is above AbsNorm: cifar10, fcn", "table2", ("cifar10", "fcn", "cwa"), ("cifar10", "fcn", "absnorm")),
    Claim(
        "Lateral inhibition improves CWA a little: cifar10, fcn",
        "table2",
        ("cifar10", "fcn", "cwa_li"),
        ("cifar10", "fcn", "cwa"),
    ),
)


@dataclass(frozen=True)
class Finding:
    """What our runs say about a claim, by one recipe or study.

    Attributes:
        claim: as a sentence.
        paper: what the paper has, as text.
        recipe: how it was measured.
        comparison: of the two sides; None where nothing was compared.
        obstacle: why it can decide nothing, whatever its numbers; empty where it can.
        p: the comparison's, corrected for all claims that are decided by the same recipe.
        here: instead of a comparison, what was found, as text.
        given: instead of a comparison, its verdict.
    """

    claim: str
    paper: str
    recipe: str = NOTHING
    comparison: Comparison | None = None
    obstacle: str = ""
    p: float | None = None
    here: str = NOTHING
    given: Verdict | None = None

    @property
    def verdict(self) -> Verdict:
        """Whether what was measured bears the claim out."""
        if self.given is not None:
            return self.given
        if self.obstacle or self.comparison is None or self.p is None or self.p >= SIGNIFICANCE:
            return "undecided"
        return "supported" if self.comparison.difference > 0 else "contradicted"

    def line(self) -> list[str]:
        """Texts under `COLUMNS`."""
        found = self.comparison
        why = f" ({self.obstacle})" if self.obstacle else ""
        return [
            self.claim,
            self.paper,
            self.here if found is None else f"{found.difference:+.2f}",
            NOTHING if found is None or isnan(found.low) else f"{found.low:+.2f} to {found.high:+.2f}",
            _probability(self.p),
            NOTHING if found is None else f"{found.seeds[0]}, {found.seeds[1]}",
            self.recipe,
            f"{self.verdict}{why}",
        ]


def findings(rows: Iterable[PaperRow], further: Sequence[Finding] = ()) -> list[Finding]:
    """Every claim, with a finding for each recipe by which both its cells were measured, then ``further`` ones.

    Where every run of both cells kept its answers for the test images, cells are compared image by image
    (`report.comparing.compare`). Claims that the same recipe decides are corrected together (Holm). A claim stays
    undecided where a single seed was trained, and where answers were not kept: its interval is then that of the seeds
    alone, as if other test images changed nothing. Runs with more or fewer epochs than their recipe do not count.
    """
    measured = [row for row in rows if row.seeds and row.whole]
    found = [each for claim in CLAIMS if claim.known for each in _findings(claim, measured)]
    return corrected([*found, *further])


def corrected(found: Sequence[Finding]) -> list[Finding]:
    """The same with the p-values of those that can be decided, corrected within each recipe."""
    decidable: dict[str, list[int]] = {}
    for index, each in enumerate(found):
        if each.comparison is not None and not each.obstacle:
            decidable.setdefault(each.recipe, []).append(index)
    result = list(found)
    for indices in decidable.values():
        p_values = [comparison.p for i in indices if (comparison := found[i].comparison) is not None]
        for index, p in zip(indices, holm(p_values), strict=True):
            result[index] = replace(found[index], p=p)
    return result


def claim_lines(rows: Iterable[PaperRow], further: Sequence[Finding] = ()) -> list[list[str]]:
    """The findings as texts under `COLUMNS`."""
    return [finding.line() for finding in findings(rows, further)]


def claims_table(rows: Iterable[PaperRow], further: Sequence[Finding] = ()) -> str:
    """The same in Markdown."""
    return markdown_lines(COLUMNS, NUMERIC, claim_lines(rows, further))


def _findings(claim: Claim, rows: Sequence[PaperRow]) -> list[Finding]:
    paper = f"{claim.paper:+.2f}"
    pairs = list(_pairs(claim, rows))
    if not pairs:
        return [Finding(claim.text, paper, obstacle=NOT_MEASURED)]
    return [Finding(claim.text, paper, above.recipe, *_compared(above, below)) for above, below in pairs]


def _compared(above: PaperRow, below: PaperRow) -> tuple[Comparison | None, str]:
    """The comparison of two rows, and what stands against deciding by it."""
    single = ONE_SEED if min(above.seeds, below.seeds) < 2 else ""
    answers = [_answers(row) for row in (above, below)]
    if None not in answers:
        return compare(*(each for each in answers if each is not None)), single
    by_accuracy = by_seeds(above.accuracies, below.accuracies)
    return by_accuracy or _without_interval(above, below), ", ".join(filter(None, (single, NO_ANSWERS)))


def _answers(row: PaperRow) -> list[np.ndarray] | None:
    kept = [run.predictions for run in row.runs]
    return [each.correct for each in kept if each is not None] if kept and None not in kept else None


def _without_interval(above: PaperRow, below: PaperRow) -> Comparison:
    assert above.mean is not None
    assert below.mean is not None
    unknown = float("nan")
    return Comparison(above.mean - below.mean, unknown, unknown, 1.0, (above.seeds, below.seeds))


def _pairs(claim: Claim, rows: Sequence[PaperRow]) -> Iterator[tuple[PaperRow, PaperRow]]:
    own = {(row.kind, row.recipe): row for row in rows if row.table == claim.table}
    for (kind, recipe), row in own.items():
        if kind == claim.above and (claim.below, recipe) in own:
            yield row, own[claim.below, recipe]


def _probability(p: float | None) -> str:
    if p is None:
        return NOTHING
    return "< 0.001" if p < 0.0005 else f"{p:.3f}"
