"""What the paper concludes from its tables, as comparisons of two cells, and whether our runs agree."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import sqrt

from conductance.report.table import NOTHING, markdown_lines
from conductance.reproduction.paper import TABLES
from conductance.reproduction.rows import PaperRow

COLUMNS = ("Claim (paper, sections 4.3 and 4.4)", "Paper", "Here", "p", "Seeds", "Recipe", "Holds")
NUMERIC = (False, True, True, True, True, False, False)

SIGNIFICANCE = 0.05


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
    Claim("BatchNorm improves CWA: cifar10, fcn", "table1", ("cifar10", "fcn", "cwa_bn"), ("cifar10", "fcn", "cwa")),
    Claim("CWA is above AbsNorm: cifar10, fcn", "table2", ("cifar10", "fcn", "cwa"), ("cifar10", "fcn", "absnorm")),
    Claim(
        "Lateral inhibition improves CWA a little: cifar10, fcn",
        "table2",
        ("cifar10", "fcn", "cwa_li"),
        ("cifar10", "fcn", "cwa"),
    ),
)


def claim_lines(rows: Iterable[PaperRow]) -> list[list[str]]:
    """Every claim, with a line for each recipe by which both its cells were measured: texts under `COLUMNS`.

    *Here* is the difference of the means with its standard error, *p* the p-value of Welch's t-test. *Holds* says
    ``yes`` or ``no`` where p is below `SIGNIFICANCE`, ``undecided`` where it is not, ``by one seed`` where a single
    seed gives no error, and ``open`` where nothing was measured. Runs with more or fewer epochs than their recipe do
    not count.
    """
    measured = [row for row in rows if row.seeds and row.whole]
    return [line for claim in CLAIMS if claim.known for line in _lines(claim, measured)]


def claims_table(rows: Iterable[PaperRow]) -> str:
    """The same in Markdown."""
    return markdown_lines(COLUMNS, NUMERIC, claim_lines(rows))


def _lines(claim: Claim, rows: Sequence[PaperRow]) -> list[list[str]]:
    found = [
        [
            claim.text,
            f"{claim.paper:+.2f}",
            _difference(above, below),
            _probability(p_value(above, below)),
            f"{above.seeds}, {below.seeds}",
            above.recipe,
            verdict(above, below),
        ]
        for above, below in _pairs(claim, rows)
    ]
    return found or [[claim.text, f"{claim.paper:+.2f}", NOTHING, NOTHING, NOTHING, NOTHING, "open"]]


def _pairs(claim: Claim, rows: Sequence[PaperRow]) -> Iterator[tuple[PaperRow, PaperRow]]:
    own = {(row.kind, row.recipe): row for row in rows if row.table == claim.table}
    for (kind, recipe), row in own.items():
        if kind == claim.above and (claim.below, recipe) in own:
            yield row, own[claim.below, recipe]


def verdict(above: PaperRow, below: PaperRow) -> str:
    """Whether ``above`` is above ``below``, in a word or two."""
    p, word = p_value(above, below), "yes" if _difference_of_means(above, below) > 0 else "no"
    if p is None:
        return f"{word}, by one seed"
    return word if p < SIGNIFICANCE else "undecided"


def _probability(p: float | None) -> str:
    if p is None:
        return NOTHING
    return "< 0.001" if p < 0.0005 else f"{p:.3f}"


def p_value(above: PaperRow, below: PaperRow) -> float | None:
    """The probability that two cells of equal mean differ this much by their seeds alone (Welch's t-test, two-sided).

    With two seeds each a difference must be 4 to 13 times its standard error for p < 0.05. None where a cell has one
    seed.
    """
    if above.std is None or below.std is None:
        return None
    if above.std == below.std == 0:
        return float(above.mean == below.mean)
    from scipy.stats import ttest_ind_from_stats  # takes a second to import

    moments = above.mean, above.std, above.seeds, below.mean, below.std, below.seeds
    return float(ttest_ind_from_stats(*moments, equal_var=False).pvalue)


def _difference(above: PaperRow, below: PaperRow) -> str:
    error = NOTHING
    if above.std is not None and below.std is not None:
        error = f"{sqrt(above.std**2 / above.seeds + below.std**2 / below.seeds):.2f}"
    return f"{_difference_of_means(above, below):+.2f} ± {error}"


def _difference_of_means(above: PaperRow, below: PaperRow) -> float:
    assert above.mean is not None
    assert below.mean is not None
    return above.mean - below.mean
