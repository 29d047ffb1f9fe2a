"""The study of estimators: every one can be run, and table and figure are of the rows."""

from statistics import fmean

import numpy as np
import pytest

from figures import words
from studies.estimators import measure as study
from studies.estimators.figure import estimators_figure
from studies.estimators.measure import Case
from studies.estimators.table import estimators_table
from studies.shared.growing import read_rows

ROWS = [
    {"data": "iris", "estimator": name, "seed": f"{seed}", "score": f"{score}", "fit_seconds": f"{seconds}"}
    for name, seed, score, seconds in [("CWA", 0, 96, 1), ("CWA", 1, 98, 2), ("MLP", 0, 95, 0.5), ("MLP", 1, 95, 0.5)]
]


def test_the_table_has_scores_their_difference_and_seconds():
    (line,) = estimators_table(ROWS).splitlines()[2:]
    assert line == "| iris | 97.00 ± 1.41 | 95.00 ± 0.00 | +2.0 | 1.5 | 0.5 |"


@pytest.mark.parametrize("estimator", study.ESTIMATORS)
def test_every_estimator_can_be_run(estimator):
    measured = study.run(Case("iris", estimator, 0))
    assert measured["score"] > 80
    assert set(measured) < set(read_rows(study.FOLDER.result)[0])


def test_every_seed_has_the_same_rows_for_the_test_and_all_classes_in_both_parts():
    for data in study.DATA:
        parts = study.split(data)
        assert all(np.array_equal(one, other) for one, other in zip(parts, study.split(data), strict=True))
        assert len(parts.judged) == np.ceil(study.TEST_SHARE * (len(parts.learned) + len(parts.judged)))
        assert data in study.REGRESSION or set(parts.targets) == set(parts.judged_targets)


def test_what_is_checked_in_is_of_the_result():
    rows = read_rows(study.FOLDER.result)
    assert {(row["data"], row["estimator"], int(row["seed"])) for row in rows} == {
        (case.data, case.estimator, case.seed) for case in study.cases()
    }
    assert study.FOLDER.table.read_text() == estimators_table(rows)
    assert words(study.FOLDER.figure.read_text()) == words(estimators_figure(rows))


def test_the_page_says_what_the_rows_say():
    rows = read_rows(study.FOLDER.result)
    mean = {
        (data, name): fmean(float(row["score"]) for row in rows if (row["data"], row["estimator"]) == (data, name))
        for data in study.DATA
        for name in study.ESTIMATORS
    }
    ours, scaled, raw = study.ESTIMATORS
    behind = {data: mean[data, scaled] - mean[data, ours] for data in study.DATA}
    page = " ".join((study.FOLDER.path / "README.md").read_text().split())
    assert f"on iris by {behind['iris']:.1f} points" in page
    assert f"on diabetes by {behind['diabetes']:.1f} points of R²" in page
    assert all(abs(behind[data]) < 0.5 for data in ("wine", "breast_cancer", "digits"))
    assert mean["wine", raw] < mean["wine", ours] - 20
