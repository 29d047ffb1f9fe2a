"""scikit-learn's own checks of what an estimator must do. That of class weights trains for a thousand epochs."""

import pytest
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks

from conductance.sklearn import CWAClassifier, CWARegressor


@parametrize_with_checks([CWAClassifier((10,), max_iter=15), CWARegressor((10,), max_iter=40)])
def test_small_estimators_pass_every_check(estimator, check):
    check(estimator)


@pytest.mark.slow
@pytest.mark.parametrize("estimator", [CWAClassifier(), CWARegressor()], ids=lambda each: type(each).__name__)
def test_the_defaults_pass_every_check(estimator):
    results = check_estimator(estimator, on_skip=None)
    assert len(results) > 50
    assert {result["status"] for result in results} <= {"passed", "skipped"}
