"""What the paper concludes, held against rows of known numbers."""

from dataclasses import replace

import pytest

from conductance.experiments.claims import CLAIMS, claims_table, verdict
from conductance.report.paper_table import PaperRow

ROW = PaperRow(
    "table1", "cifar10", "cnn", "cwa", "modern", "30", 3, 80.0, 1.0, 81.0, 78.09, 1.0, "", "", "a command"
)  # a made-up one


def row(family, mean, std=1.0, seeds=3, **changes):
    return replace(ROW, family=family, mean=mean, std=std, seeds=seeds, **changes)


def test_the_papers_own_figures_bear_every_claim_out():
    assert all(claim.paper > 0 for claim in CLAIMS)
    assert len({claim.text for claim in CLAIMS}) == len(CLAIMS)


@pytest.mark.parametrize(
    ("above", "below", "said"),
    [
        (row("affine_bn", 82), row("cwa", 80), "yes"),  # 2 points against an error of sqrt(2/3)
        (row("affine_bn", 80), row("cwa", 82), "no"),
        (row("affine_bn", 81.6), row("cwa", 80), "undecided"),
        (row("affine_bn", 82, std=None, seeds=1), row("cwa", 80), "yes, by one seed"),
        (row("affine_bn", 79), row("cwa", 80, std=None, seeds=1), "no, by one seed"),
    ],
)
def test_the_verdict(above, below, said):
    assert verdict(above, below) == said


def lines(*rows):
    return [line for line in claims_table(rows).splitlines()[2:] if not line.endswith("| open |")]


def test_only_runs_of_one_recipe_are_compared():
    assert lines(row("affine_bn", 82), row("cwa", 80, recipe="paper")) == []
    (line,) = lines(row("affine_bn", 82), row("cwa", 80), row("cwa", 10, recipe="paper"))
    assert line == "| Affine + BatchNorm is above CWA: cifar10, cnn | +10.51 | +2.00 ± 0.82 | 3, 3 | modern | yes |"


def test_short_runs_and_open_cells_bear_nothing_out():
    short = "modern; short: 1 of 30 epochs"
    assert lines(row("affine_bn", 82, recipe=short), row("cwa", 80, recipe=short)) == []
    assert lines(row("affine_bn", None, seeds=0), row("cwa", 80)) == []
    assert claims_table([]).count("| open |") == len(CLAIMS)
