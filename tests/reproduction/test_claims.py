"""What the paper concludes, held against rows of known numbers."""

from dataclasses import replace
from statistics import mean, stdev

import pytest
from scipy.stats import ttest_ind

from conductance.reproduction.claims import CLAIMS, claims_table, p_value, verdict
from conductance.reproduction.rows import PaperRow

ROW = PaperRow(
    "table1", "cifar10", "cnn", "cwa", "presets", "30", 3, 80.0, 1.0, 81.0, 78.09, "", 1.0, "", "", "a command"
)  # a made-up one


def row(family, mean, std=1.0, seeds=3, **changes):
    return replace(ROW, family=family, mean=mean, std=std, seeds=seeds, **changes)


def test_the_papers_own_figures_bear_every_claim_out():
    assert all(claim.paper > 0 for claim in CLAIMS)
    assert len({claim.text for claim in CLAIMS}) == len(CLAIMS)


@pytest.mark.parametrize(
    ("above", "below", "said"),
    [
        (row("affine_bn", 83), row("cwa", 80), "yes"),  # 3 points against an error of sqrt(2/3)
        (row("affine_bn", 80), row("cwa", 83), "no"),
        (row("affine_bn", 82), row("cwa", 80), "undecided"),
        (row("affine_bn", 83, seeds=2), row("cwa", 80, seeds=2), "undecided"),  # the same, by too few seeds
        (row("affine_bn", 81, std=0.0, seeds=2), row("cwa", 80, std=0.0, seeds=2), "yes"),
        (row("affine_bn", 80, std=0.0, seeds=2), row("cwa", 80, std=0.0, seeds=2), "undecided"),
        (row("affine_bn", 82, std=None, seeds=1), row("cwa", 80), "yes, by one seed"),
        (row("affine_bn", 79), row("cwa", 80, std=None, seeds=1), "no, by one seed"),
    ],
)
def test_the_verdict(above, below, said):
    assert verdict(above, below) == said


def test_the_p_value_is_that_of_the_accuracies_themselves():
    above, below = [83.77, 83.47], [83.21, 83.18, 82.9]
    rows = [row("cwa", mean(a), stdev(a), len(a)) for a in (above, below)]
    assert p_value(*rows) == pytest.approx(ttest_ind(above, below, equal_var=False).pvalue)


def lines(*rows):
    return [line for line in claims_table(rows).splitlines()[2:] if not line.endswith("| open |")]


def test_only_runs_of_one_recipe_are_compared():
    assert lines(row("affine_bn", 82), row("cwa", 80, recipe="paper")) == []
    (line,) = lines(row("affine_bn", 83), row("cwa", 80), row("cwa", 10, recipe="paper"))
    claim = "Affine + BatchNorm is above CWA: cifar10, cnn"
    assert line == f"| {claim} | +10.51 | +3.00 ± 0.82 | 0.021 | 3, 3 | presets | yes |"


def test_no_p_value_is_zero():
    (line,) = lines(row("affine_bn", 100), row("cwa", 20))
    assert "| < 0.001 | 3, 3 |" in line


@pytest.mark.parametrize("length", ["short: 1 of 30 epochs", "long: 60 of 30 epochs"])
def test_runs_of_another_length_and_open_cells_bear_nothing_out(length):
    other = f"presets; {length}"
    assert lines(row("affine_bn", 82, recipe=other), row("cwa", 80, recipe=other)) == []
    assert lines(row("affine_bn", None, seeds=0), row("cwa", 80)) == []
    assert claims_table([]).count("| open |") == len(CLAIMS)
