"""The classifier and the regressor: what they learn, and that they are good citizens of scikit-learn."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris, make_blobs, make_regression
from sklearn.ensemble import BaggingClassifier
from sklearn.feature_selection import SelectKBest
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.parallel import Parallel, delayed

from conductance.errors import ConductanceError, InputError
from conductance.sklearn import CWAClassifier, CWARegressor
from conductance.sklearn.fitting import contrast

QUICK = {"hidden_layer_sizes": (8,), "max_iter": 5, "random_state": 0}
ESTIMATORS = (CWAClassifier, CWARegressor)


@pytest.fixture(scope="module")
def flowers():
    return load_iris(return_X_y=True)


def answers(estimator, X):
    return estimator.predict_proba(X) if isinstance(estimator, CWAClassifier) else estimator.predict(X)


# Learning -------------------------------------------------------------------------------------------------------------


def test_a_classifier_learns_with_its_defaults(flowers):
    X, y = flowers
    assert CWAClassifier(random_state=0).fit(X[::2], y[::2]).score(X[1::2], y[1::2]) > 0.9


def test_a_regressor_learns_with_its_defaults():
    X, y = load_diabetes(return_X_y=True, scaled=False)
    assert CWARegressor(random_state=0).fit(X[::2], y[::2]).score(X[1::2], y[1::2]) > 0.35


@pytest.mark.parametrize("solver", ["muon", "adam", "sgd", "eg"])
def test_every_solver_learns_something(solver, flowers):
    assert CWAClassifier((20,), solver=solver, max_iter=30, random_state=0).fit(*flowers).score(*flowers) > 0.7


def test_units_of_features_do_not_matter(flowers):
    X, y = flowers
    other = X * [1e-6, 1.0, 1e3, 1e9] + [0, 1e3, -7, 5e9]
    estimator = CWAClassifier(**QUICK, batch_size=len(X))  # the order of rows depends on their last bits
    ours, theirs = (clone(estimator).fit(data, y).predict_proba(data) for data in (X, other))
    assert_allclose(ours, theirs, atol=1e-6)


def test_several_values_for_each_row_are_learned_together():
    X, y = make_regression(80, 5, n_targets=3, random_state=0)
    predicted = CWARegressor((30,), max_iter=150, random_state=0).fit(X, y).predict(X)
    assert predicted.shape == y.shape
    assert ((predicted - y) ** 2).mean() < 0.1 * y.var()


def test_float32_data_give_a_float32_network(flowers):
    X, y = flowers
    for dtype in (np.float32, np.float64):
        fitted = CWAClassifier(**QUICK).fit(X.astype(dtype), y)
        assert fitted.predict_proba(X.astype(dtype)).dtype == dtype
        assert str(fitted.network_[0].g.dtype) == f"torch.{np.dtype(dtype).name}"


# Rows as a weighted set -----------------------------------------------------------------------------------------------


@settings(max_examples=10)
@given(
    weights=st.lists(st.integers(0, 4), min_size=12, max_size=12).filter(lambda each: sum(map(bool, each)) > 3),
    seed=st.integers(0, 1000),
    kind=st.sampled_from(ESTIMATORS),
    early_stopping=st.booleans(),
)
def test_a_weight_is_a_repetition_whatever_the_order(weights, seed, kind, early_stopping):
    random = np.random.default_rng(seed)
    X, y = random.normal(size=(12, 3)), random.integers(0, 2, 12)
    estimator = kind(**QUICK, early_stopping=early_stopping, validation_fraction=0.25)
    weighted = estimator.fit(X, y, np.array(weights, float))
    rows = random.permutation(np.repeat(np.arange(12), weights))
    repeated = clone(estimator).fit(X[rows], y[rows])
    assert_array_equal(answers(weighted, X), answers(repeated, X))


def test_a_weight_is_a_repetition_in_partial_fit_and_with_balanced_classes(flowers):
    X, y = (part[::7] for part in flowers)
    weights = np.arange(len(y)) % 3
    rows = np.repeat(np.arange(len(y)), weights)
    weighted = CWAClassifier(**QUICK).partial_fit(X, y, [0, 1, 2], weights)
    repeated = CWAClassifier(**QUICK).partial_fit(X[rows], y[rows], [0, 1, 2])
    assert_array_equal(weighted.predict_proba(X), repeated.predict_proba(X))
    weighted = CWAClassifier(**QUICK, class_weight="balanced").fit(X, y, weights)
    repeated = CWAClassifier(**QUICK, class_weight="balanced").fit(X[rows], y[rows])
    assert_array_equal(weighted.predict_proba(X), repeated.predict_proba(X))


@pytest.mark.parametrize("form", [sparse.csr_array, sparse.csc_matrix, sparse.coo_array])
@pytest.mark.parametrize("kind", ESTIMATORS)
def test_sparse_is_dense(kind, form):
    random = np.random.default_rng(0)
    X = random.normal(size=(40, 6)) * (random.random((40, 6)) < 0.3)
    y = random.integers(0, 3, 40)
    dense, thin = kind(**QUICK).fit(X, y), kind(**QUICK).fit(form(X), y)
    assert_array_equal(answers(dense, X), answers(thin, form(X)))


def test_rare_classes_count_more_where_they_are_told_to():
    X, y = make_blobs([180, 20], 2, centers=[[0, 0], [1, 1]], cluster_std=1.0, random_state=0)
    found = [
        CWAClassifier((20,), max_iter=30, random_state=0, class_weight=weight).fit(X, y).predict(X).mean()
        for weight in ({0: 10, 1: 1}, None, "balanced", {0: 1, 1: 50})
    ]
    assert found == sorted(found)
    assert found[0] < 0.1 < found[2] < found[3]


def test_alpha_draws_the_synapses_of_a_channel_together(flowers):
    estimators = (CWAClassifier((20,), alpha=alpha, max_iter=20, random_state=0) for alpha in (0.0, 10.0, 1000.0))
    contrasts = [contrast(each.fit(*flowers).network_[0]).item() for each in estimators]
    assert contrasts == sorted(contrasts, reverse=True)
    assert contrasts[2] < 0.7 * contrasts[0]


# Going on and stopping ------------------------------------------------------------------------------------------------


def test_early_stopping_keeps_the_best_weights():
    X, y = load_diabetes(return_X_y=True)
    fitted = CWARegressor((50,), max_iter=200, early_stopping=True, n_iter_no_change=4, random_state=0).fit(X, y)
    losses = fitted.validation_loss_curve_
    assert len(losses) == fitted.n_iter_ == len(fitted.loss_curve_) < 200
    assert np.argmin(losses) == len(losses) - 5
    shorter = clone(fitted).set_params(max_iter=len(losses) - 4, n_iter_no_change=200).fit(X, y)
    assert_array_equal(shorter.predict(X), fitted.predict(X))


def test_a_warm_start_goes_on_with_the_network(flowers):
    first = CWAClassifier(**QUICK, warm_start=True).fit(*flowers)
    network, loss = first.network_, first.loss_
    assert first.fit(*flowers).network_ is network
    assert first.loss_ < loss
    assert first.set_params(warm_start=False).fit(*flowers).network_ is not network


def test_partial_fit_learns_from_pieces_and_does_not_forget_where_it_is_when_pickled(flowers):
    X, y = flowers
    pieces = np.random.default_rng(0).permutation(len(y)).reshape(3, -1)
    straight, pickled = (CWAClassifier((30,), random_state=0) for _ in range(2))
    for _ in range(8):
        for rows in pieces:
            straight.partial_fit(X[rows], y[rows], [0, 1, 2])
            pickled = pickle.loads(pickle.dumps(pickled)).partial_fit(X[rows], y[rows], [0, 1, 2])
    assert straight.n_iter_ == 24
    assert straight.score(X, y) > 0.8
    assert_array_equal(straight.predict_proba(X), pickled.predict_proba(X))


def test_partial_fit_sees_the_same_scale_as_fit():
    X, y = make_regression(60, 4, random_state=0)
    X = 50 * X + 1000
    pieces = CWARegressor(**QUICK)
    for rows in np.arange(60).reshape(4, -1):
        pieces.partial_fit(X[rows], y[rows])
    whole = CWARegressor(**QUICK).fit(X, y)
    assert_allclose(pieces._scale.mean, whole._scale.mean)
    assert_allclose(pieces._scale.deviation, whole._scale.deviation)
    assert_allclose(whole._scale.deviation, X.std(0))


# Company --------------------------------------------------------------------------------------------------------------


def test_another_process_reads_pickles(flowers, tmp_path):
    X, y = flowers
    fitted = [kind(**QUICK).fit(X, y) for kind in ESTIMATORS]
    (tmp_path / "estimators.pickle").write_bytes(pickle.dumps((fitted, X)))
    script = (
        "import pickle, numpy; fitted, X = pickle.load(open('estimators.pickle', 'rb')); "
        "numpy.savez('answers.npz', *(each.predict(X) for each in fitted)); "
        "[each.fit(X, X[:, 0] > 1) for each in fitted]"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)
    answers = np.load(tmp_path / "answers.npz")
    for each, answer in zip(fitted, answers.values(), strict=True):
        assert_array_equal(answer, each.predict(X))


def test_a_grid_search_in_two_processes_chooses_as_in_one(flowers):
    pipeline = make_pipeline(SelectKBest(k=3), CWAClassifier(**QUICK))
    grid = {"cwaclassifier__hidden_layer_sizes": [(2,), (20,)]}
    one, two = (GridSearchCV(pipeline, grid, cv=2, n_jobs=jobs).fit(*flowers) for jobs in (1, 2))
    assert_array_equal(one.cv_results_["mean_test_score"], two.cv_results_["mean_test_score"])
    assert_array_equal(one.predict(flowers[0]), two.predict(flowers[0]))


def test_threads_take_turns(flowers):
    alone = CWAClassifier(**QUICK).fit(*flowers).predict_proba(flowers[0])
    fitted = Parallel(2, prefer="threads")(delayed(CWAClassifier(**QUICK).fit)(*flowers) for _ in range(4))
    assert all(np.array_equal(each.predict_proba(flowers[0]), alone) for each in fitted)


def test_it_joins_an_ensemble(flowers):
    assert BaggingClassifier(CWAClassifier(**QUICK), 3, random_state=0).fit(*flowers).score(*flowers) > 0.5


def test_random_numbers_of_others_stay_as_they_are(flowers):
    np.random.seed(3)  # noqa: NPY002
    CWAClassifier(**QUICK).fit(*flowers)
    drawn = np.random.random()  # noqa: NPY002
    np.random.seed(3)  # noqa: NPY002
    assert np.random.random() == drawn  # noqa: NPY002


# Conductances of features ---------------------------------------------------------------------------------------------


def test_features_have_shares_of_the_conductance():
    X, y = make_regression(200, 6, n_informative=1, random_state=0)
    fitted = CWARegressor((30,), max_iter=60, random_state=0).fit(X, y)
    shares = fitted.feature_conductances_
    assert shares.shape == (6, 2)
    assert (shares > 0).all()
    assert shares.sum() < 1
    importances = fitted.feature_importances_
    assert importances.sum() == pytest.approx(1)
    assert importances.argmax() == abs(np.corrcoef(X.T, y)[-1, :-1]).argmax()


# Bad input ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", ESTIMATORS)
def test_what_is_not_finite_is_named_in_one_line(kind, bad, flowers):
    X, y = flowers[0].copy(), flowers[1]
    fitted = kind(**QUICK).fit(X, y)
    X[4, 2] = bad
    for call in (lambda: kind().fit(X, y), lambda: fitted.predict(X), lambda: kind().fit(sparse.csr_array(X), y)):
        with pytest.raises(InputError, match=r"X holds (NaN|inf) in row 4, column 2; .*SimpleImputer") as raised:
            call()
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"hidden_layer_sizes": ()}, "hidden_layer_sizes="),
        ({"hidden_layer_sizes": (10, 0)}, "hidden_layer_sizes="),
        ({"hidden_layer_sizes": 2.5}, "hidden_layer_sizes="),
        ({"max_iter": 0}, "max_iter=0"),
        ({"batch_size": "half"}, "batch_size='half'.* or 'auto'"),
        ({"solver": "lbfgs"}, "unknown optimizer 'lbfgs'"),
        ({"alpha": -0.1}, "alpha=-0.1"),
        ({"learning_rate_init": -1.0}, "learning_rate_init=-1.0"),
        ({"early_stopping": True, "validation_fraction": 1.0}, "validation_fraction=1.0"),
        ({"class_weight": {7: 1.0}}, r"class_weight has \[7\]"),
        ({"class_weight": "even"}, "class_weight='even'"),
    ],
)
def test_parameters_out_of_range_are_one_line(choices, message, flowers):
    with pytest.raises(ConductanceError, match=message) as raised:
        CWAClassifier(**{**QUICK, **choices}).fit(*flowers)
    assert "\n" not in str(raised.value)


def test_a_class_that_was_not_announced_is_named(flowers):
    X, y = flowers
    with pytest.raises(InputError, match="y has the class"):
        CWAClassifier(**QUICK).partial_fit(X, y, [0, 1])
    with pytest.raises(InputError, match="classes must be passed on the first call"):
        CWAClassifier(**QUICK).partial_fit(X, y)
    with pytest.raises(InputError, match="earlier calls had"):
        CWAClassifier(**QUICK).partial_fit(X, y, [0, 1, 2]).partial_fit(X, y, [0, 1])
    with pytest.raises(InputError, match="needs all rows at once"):
        CWAClassifier(**QUICK, class_weight="balanced").partial_fit(X, y, [0, 1, 2])
