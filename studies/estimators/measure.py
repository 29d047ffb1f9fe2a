"""How well do `CWAClassifier` and `CWARegressor` learn small tables, beside scikit-learn's MLP of the same size?

Five data sets that scikit-learn ships; a quarter of the rows is kept for the test. Both have 100 hidden units and their
defaults, but the MLP may go on until it converges. It is given standardized features, as scikit-learn's manual advises,
and for comparison the features as they are, which is what the conductance networks are given.
"""

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from sklearn import datasets
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from conductance.files import write_text
from conductance.sklearn import CWAClassifier, CWARegressor
from studies.estimators.figure import estimators_figure
from studies.estimators.table import estimators_table
from studies.shared.folder import folder_of
from studies.shared.growing import measure_study, read_rows

FOLDER = folder_of(__file__)

UNITS = (100,)
EPOCHS_OF_MLP = 1000
SEEDS = 5
TEST_SHARE = 0.25

Maker = Callable[[bool, int], BaseEstimator]
"""From whether classes are to be told apart, and a seed."""


def _conductances(classes: bool, seed: int) -> BaseEstimator:
    return (CWAClassifier if classes else CWARegressor)(UNITS, random_state=seed)


def _mlp(classes: bool, seed: int) -> BaseEstimator:
    kind = MLPClassifier if classes else MLPRegressor
    return kind(hidden_layer_sizes=UNITS, max_iter=EPOCHS_OF_MLP, random_state=seed)


def _scaled_mlp(classes: bool, seed: int) -> BaseEstimator:
    return make_pipeline(StandardScaler(), _mlp(classes, seed))


ESTIMATORS: dict[str, Maker] = {"CWA": _conductances, "MLP, standardized features": _scaled_mlp, "MLP": _mlp}
DATA: dict[str, Callable[..., Any]] = {
    "iris": datasets.load_iris,
    "wine": datasets.load_wine,
    "breast_cancer": datasets.load_breast_cancer,
    "digits": datasets.load_digits,
    "diabetes": datasets.load_diabetes,
}
REGRESSION = ("diabetes",)


@dataclass(frozen=True)
class Case:
    """One run: which data, which estimator, which seed of its start."""

    data: str
    estimator: str
    seed: int


class Parts(NamedTuple):
    """Rows to learn from and rows to judge by."""

    learned: np.ndarray
    judged: np.ndarray
    targets: np.ndarray
    judged_targets: np.ndarray


def split(data: str) -> Parts:
    """The same split for every seed: the defaults were chosen by cross-validation on the first part alone."""
    options = {"scaled": False} if data == "diabetes" else {}
    X, y = DATA[data](return_X_y=True, **options)
    stratify = None if data in REGRESSION else y
    return Parts(*train_test_split(X, y, test_size=TEST_SHARE, random_state=0, stratify=stratify))


def cases(seeds: int = SEEDS) -> list[Case]:
    """All runs, seed by seed."""
    return [Case(data, estimator, seed) for seed in range(seeds) for data in DATA for estimator in ESTIMATORS]


def run(case: Case) -> Mapping[str, float]:
    """One run: accuracy in %, or 100 R² of the regression, on the test rows; and the seconds that `fit` took."""
    parts = split(case.data)
    estimator = ESTIMATORS[case.estimator](case.data not in REGRESSION, case.seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        started = time.perf_counter()
        estimator.fit(parts.learned, parts.targets)
        seconds = time.perf_counter() - started
    epochs = getattr(estimator, "n_iter_", None) or estimator[-1].n_iter_
    score = 100 * estimator.score(parts.judged, parts.judged_targets)
    return {"score": round(score, 2), "fit_seconds": round(seconds, 2), "epochs": epochs}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is missing, on one thread, and show what there is."""
    parser = FOLDER.parser(__doc__, seeds=SEEDS)
    wanted = cases(parser.parse_args(arguments).seeds)
    measure_study(FOLDER, wanted, run)
    rows = read_rows(FOLDER.result)
    if rows:
        write_text(FOLDER.table, estimators_table(rows))
        write_text(FOLDER.figure, estimators_figure(rows))
