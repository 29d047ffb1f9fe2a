"""Estimators for scikit-learn: networks of conductance layers that take flat features of any range."""

from conductance.extras import import_extra

import_extra("sklearn", "for conductance.sklearn", "train")

from conductance.sklearn.classifier import CWAClassifier  # noqa: E402  (after the packages that they need)
from conductance.sklearn.regressor import CWARegressor  # noqa: E402

__all__ = ["CWAClassifier", "CWARegressor"]
