"""The table of a study whose runs are paired: a line for each condition, compared with one of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from conductance.report.rows import spread
from conductance.report.table import markdown_lines, with_spread
from studies.shared.paired import Difference, Verdict, difference, verdicts

Row = Mapping[str, str]


@dataclass(frozen=True)
class PartCase:
    """One run of a study that has parts: under which condition of which part, by which seed."""

    part: str
    condition: str
    seed: int


@dataclass(frozen=True)
class Line:
    """What was measured of one condition.

    Attributes:
        place: the values of the fields within which conditions are compared, such as network and data.
        condition: its name.
        rows: its runs.
        difference: to the condition that all are compared with; None for that one itself.
        verdict: of the difference, within its place.
    """

    place: tuple[str, ...]
    condition: str
    rows: list[Row]
    difference: Difference | None = None
    verdict: Verdict | None = None

    @property
    def tests(self) -> list[float]:
        """Test accuracies in %, seed by seed."""
        return [float(row["test"]) for row in self.rows]

    @property
    def mean(self) -> float:
        """Of the test accuracies."""
        return fmean(self.tests)

    @property
    def accuracy(self) -> str:
        """Mean and standard deviation over seeds."""
        return with_spread(self.mean, spread(self.tests))


def lines_of_parts(rows: Sequence[Row], references: Mapping[str, str]) -> list[Line]:
    """`lines` of the conditions within each part of a study, compared with the part's own reference."""
    return [
        line
        for part, reference in references.items()
        for line in lines([row for row in rows if row["part"] == part], ("part",), "condition", reference)
    ]


def lines(rows: Sequence[Row], places: Sequence[str], condition: str, reference: str) -> list[Line]:
    """A line for each condition, in the order in which they were first measured, place by place."""
    found: list[Line] = []
    for place in dict.fromkeys(tuple(row[field] for field in places) for row in rows):
        here = [row for row in rows if tuple(row[field] for field in places) == place]
        groups: dict[str, list[Row]] = {}
        for row in here:
            groups.setdefault(row[condition], []).append(row)
        compared = {
            name: difference(group, groups.get(reference, [])) for name, group in groups.items() if name != reference
        }
        known = {name: each for name, each in compared.items() if each is not None}
        judged = dict(zip(known, verdicts(list(known.values())), strict=True))
        found += [Line(place, name, group, known.get(name), judged.get(name)) for name, group in groups.items()]
    return found


def table(
    found: Sequence[Line], places: Sequence[str], condition: str, *, means: Mapping[str, str] | None = None
) -> str:
    """As Markdown.

    Args:
        found: the lines.
        places: headings of what they are compared within.
        condition: heading of what they differ in.
        means: further columns, a field of the rows for each heading; its mean is shown.
    """
    means = means or {}
    cells = [
        [
            *line.place,
            line.condition,
            line.accuracy,
            "" if line.difference is None else line.difference.text,
            line.verdict or "",
            *(f"{fmean(float(row[field]) for row in line.rows):.2f}" for field in means.values()),
            str(len(line.rows)),
        ]
        for line in found
    ]
    headings = [*places, condition, "Test %", "Difference [95 %]", "Verdict", *means, "Seeds"]
    right = [*[False] * (len(places) + 1), True, True, False, *[True] * len(means), True]
    return markdown_lines(headings, right, cells)
