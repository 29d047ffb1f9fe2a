"""What the classifier and the regressor share: features, training, and what the first layer says about features."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from numbers import Integral
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, is_regressor
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import nn

from conductance.checked import check_arguments
from conductance.errors import InputError
from conductance.nn import CWALinear
from conductance.optim.optimizer import RuleName
from conductance.sklearn.features import Scale, by_feature, channels, open_probabilities
from conductance.sklearn.fitting import Loss, Recipe, build, optimizer_of, outputs_of, train
from conductance.sklearn.samples import Samples, require_finite, weights_of

Array = NDArray[Any]
_PRECISION = [np.float64, np.float32]


class CWAEstimator(BaseEstimator):
    """A network of conductance layers as an estimator."""

    network_: nn.Sequential
    n_iter_: int
    loss_: float
    loss_curve_: list[float]
    validation_loss_curve_: list[float]

    def __init__(
        self,
        hidden_layer_sizes: Sequence[int] | int = (100,),
        *,
        solver: RuleName = "adam",
        learning_rate_init: float | None = None,
        alpha: float = 0.3,
        batch_size: int | Literal["auto"] = "auto",
        max_iter: int = 100,
        random_state: Any = None,
        warm_start: bool = False,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        verbose: bool = False,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.solver = solver
        self.learning_rate_init = learning_rate_init
        self.alpha = alpha
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.random_state = random_state
        self.warm_start = warm_start
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.verbose = verbose

    # What the two differ in -------------------------------------------------------------------------------------------

    _loss: Loss

    def _forget(self) -> None:
        """Leave nothing of an earlier training."""
        self.__dict__.pop("network_", None)

    def _numbers(self, y: Array, weights: Array) -> tuple[Array, Array]:
        """From what the user gives: classes by number or standardized values, and the weights with class weights."""
        raise NotImplementedError

    def _outputs(self) -> int:
        """How many the network has."""
        raise NotImplementedError

    # Training ---------------------------------------------------------------------------------------------------------

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Learn from all rows, for ``max_iter`` epochs.

        Args:
            X: (rows, features), an array, data frame or sparse matrix of any range. Sparse ones are made dense.
            y: (rows,); for a regressor also (rows, outputs).
            sample_weight: (rows,), how much each row counts, >= 0. A row of weight 2 is the same as two equal rows.

        Raises:
            InputError: NaN or infinite values; a parameter outside its range.
            ValueError: X and y do not fit together, see scikit-learn's `validate_data`.
        """
        check_arguments(type(self).__init__, (self,), self.get_params(deep=False))
        new = not (self.warm_start and hasattr(self, "network_"))
        if new:
            self._forget()
        samples = self._samples(X, y, sample_weight, new)
        recipe = self._recipe(samples)
        held_out = None
        if self.early_stopping:
            stratified = samples.y.ndim == 1
            samples, held_out = samples.split(self.validation_fraction, recipe.seed, stratified)
        if new:
            self._begin(samples, recipe)
        history = self._train(samples, recipe, held_out)
        self._optimizer: torch.optim.Optimizer | None = None
        self.loss_curve_ = [epoch["train_loss"] for epoch in history]
        self.validation_loss_curve_ = [epoch["validation_loss"] for epoch in history if "validation_loss" in epoch]
        self.n_iter_, self.loss_ = len(history), self.loss_curve_[-1]
        return self

    def _partial_fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None) -> Self:
        """One more epoch, on these rows."""
        check_arguments(type(self).__init__, (self,), self.get_params(deep=False))
        new = not hasattr(self, "network_")
        samples = self._samples(X, y, sample_weight, new)
        done = 0 if new else self.n_iter_
        recipe = replace(self._recipe(samples), epochs=1, steady=True)
        if new:
            self._begin(samples, recipe)
            self.loss_curve_, self.validation_loss_curve_ = [], []
        else:
            self._see(samples)
        self._optimizer = getattr(self, "_optimizer", None) or optimizer_of(self.network_, recipe)
        recipe = replace(recipe, seed=(recipe.seed + done) % 2**31)
        [epoch] = self._train(samples, recipe, optimizer=self._optimizer)
        self.loss_curve_.append(epoch["train_loss"])
        self.n_iter_, self.loss_ = done + 1, epoch["train_loss"]
        return self

    def _train(
        self,
        samples: Samples,
        recipe: Recipe,
        held_out: Samples | None = None,
        optimizer: torch.optim.Optimizer | None = None,
    ) -> list[dict[str, Any]]:
        recipe = replace(recipe, alpha=recipe.alpha / self._scale.total)
        judged = None if held_out is None else self._encoded(held_out)
        return train(self.network_, self._encoded(samples), self._loss, recipe, judged, optimizer)

    def _begin(self, samples: Samples, recipe: Recipe) -> None:
        """A new network, and how large the features are."""
        self._scale = Scale(samples.X.shape[1])
        self._see(samples)
        inputs = channels(samples.X.shape[1])
        dtype = torch.float32 if samples.X.dtype == np.float32 else torch.float64
        self.network_ = build(inputs, self._hidden(), self._outputs(), recipe.seed, dtype)
        self._optimizer = None

    def _samples(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None, new: bool) -> Samples:
        """Every row that counts, once; an order that does not depend on that of the data."""
        rows, targets = validate_data(
            self,
            X,
            y,
            reset=new,
            accept_sparse="csr",
            dtype=_PRECISION,
            multi_output=True,
            y_numeric=is_regressor(self),
            ensure_all_finite=False,
        )
        weights = weights_of(sample_weight, rows)
        counted = weights > 0
        features = require_finite(_dense(rows), "X")
        numbers, weights = self._numbers(targets[counted], weights[counted])
        return Samples(features[counted], numbers, weights).merged()

    def _see(self, samples: Samples) -> None:
        """Take note of how large features are."""
        self._scale.update(samples.X, samples.weights)

    def _encoded(self, samples: Samples) -> Samples:
        """As the network takes them."""
        return replace(samples, X=open_probabilities(self._scale.standardized(samples.X)))

    # Parameters -------------------------------------------------------------------------------------------------------

    def _hidden(self) -> tuple[int, ...]:
        given = self.hidden_layer_sizes
        sizes = tuple(given) if isinstance(given, Iterable) else (given,)
        if not sizes or not all(isinstance(size, Integral) and size > 0 for size in sizes):
            raise InputError(f"hidden_layer_sizes={given!r}: give one positive whole number for each layer")
        return tuple(map(int, sizes))

    def _recipe(self, samples: Samples) -> Recipe:
        self._hidden()
        for name in ("max_iter", "n_iter_no_change"):
            _require_positive(name, getattr(self, name))
        if self.batch_size != "auto":
            _require_positive("batch_size", self.batch_size, "or 'auto'")
        step = self.learning_rate_init
        if step is not None and not 0 < step < np.inf:
            raise InputError(f"learning_rate_init={step!r}: must be positive and finite, or None for the default")
        if not 0 <= self.alpha < np.inf:
            raise InputError(f"alpha={self.alpha!r}: must not be negative, and finite")
        batch = min(max(len(samples) // 20, 50), 200) if self.batch_size == "auto" else int(self.batch_size)
        return Recipe(
            solver=self.solver,
            step=step,
            alpha=float(self.alpha),
            batch_size=batch,
            epochs=int(self.max_iter),
            seed=int(check_random_state(self.random_state).randint(2**31 - 1)),
            patience=int(self.n_iter_no_change),
            steady=self.early_stopping,  # nobody knows yet when the schedule would have to end
            verbose=bool(self.verbose),
        )

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    # Using the network ------------------------------------------------------------------------------------------------

    def _answers(self, X: ArrayLike) -> Array:
        """What the readout says of each row."""
        check_is_fitted(self, "network_")
        rows = validate_data(self, X, reset=False, accept_sparse="csr", dtype=_PRECISION, ensure_all_finite=False)
        features = require_finite(_dense(rows), "X")
        return outputs_of(self.network_, open_probabilities(self._scale.standardized(features)))

    @property
    def feature_conductances_(self) -> Array:
        """How strongly each feature excites and inhibits the units of the first layer, (features, 2).

        Each number is a share of all synaptic conductance of a unit, averaged over units: first of the excitatory
        synapses that read a feature, then of the inhibitory ones. The rest are thresholds: it reads channels that are
        always open.
        """
        by_kind: Array = self._shares().sum(2).mean(0).T
        return by_kind

    @property
    def feature_importances_(self) -> Array:
        """How much units depend on each feature, (features,), which add up to 1; for `SelectFromModel` and its like.

        How far the excitatory and the inhibitory synapse of each of its two channels differ, averaged over units. Where
        they are equal, a unit does not see what the channel says.
        """
        excitatory, inhibitory = self._shares().swapaxes(0, 1)
        contrasts = np.abs(excitatory - inhibitory).sum(1).mean(0)
        importances: Array = contrasts / contrasts.sum()
        return importances

    def _shares(self) -> Array:
        """The conductances of the first layer, (units, excitatory and inhibitory, sides, features); each unit's total,
        thresholds included, is 1."""
        check_is_fitted(self, "network_")
        first = self.network_[0]
        assert isinstance(first, CWALinear)
        G = first.conductance.detach().double().numpy()
        return by_feature((G / G.sum(1, keepdims=True)).reshape(len(G), 2, -1))


def _dense(X: Any) -> Array:
    return X.toarray() if hasattr(X, "toarray") else X


def _require_positive(name: str, value: Any, otherwise: str = "") -> None:
    if not isinstance(value, Integral) or value < 1:
        raise InputError(f"{name}={value!r}: must be a whole number of at least 1{otherwise and ' ' + otherwise}")
