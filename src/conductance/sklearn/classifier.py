"""The classifier."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_softmax
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d
from torch import Tensor
from torch.nn import functional as F

from conductance.errors import InputError
from conductance.optim.optimizer import RuleName
from conductance.sklearn.base import CWAEstimator

Array = NDArray[Any]
ClassWeight = Mapping[Any, float] | Literal["balanced"] | None


class CWAClassifier(ClassifierMixin, CWAEstimator):
    """A classifier for scikit-learn: layers of conductances and a linear readout, trained on the cross-entropy.

    >>> from sklearn.datasets import load_wine
    >>> X, y = load_wine(return_X_y=True)
    >>> CWAClassifier(random_state=0).fit(X, y).score(X, y) > 0.9
    True

    Features may have any range: each is standardized, and becomes two open probabilities, one above its mean and one
    below, which are fully open at three standard deviations. Sparse matrices are made dense. The result depends on the
    data as a weighted set: not on the order of rows, nor on whether a row is repeated or has a weight.

    Args:
        hidden_layer_sizes: units of each hidden layer.
        solver: the rule that moves the conductances, see `optim.create_optimizer`.
        learning_rate_init: its step, a share of the mean conductance of a layer; by default that of `create_optimizer`.
        alpha: how strongly the excitatory and the inhibitory synapse of a channel are drawn together, which lets units
            ignore what says little: the loss of all rows together has ``alpha`` times `contrast` more.
        batch_size: rows in a batch; "auto" for a twentieth of the different rows, between 50 and 200.
        max_iter: epochs. The step goes up and, at the end, down to 0.
        random_state: of the start and the order of rows.
        warm_start: whether `fit` goes on with the network that there is.
        early_stopping: whether to hold out rows, stop when their loss falls no more, and keep the best weights. The
            step then stays as it is.
        validation_fraction: the share of different rows to hold out.
        n_iter_no_change: epochs without a lower loss on them before training stops.
        class_weight: a number for each class by which the weights of its rows are multiplied; "balanced" gives all
            classes the same total weight.
        verbose: whether to show the progress of training.

    Attributes:
        classes_: the classes, sorted.
        n_features_in_: number of features.
        feature_names_in_: their names, if X was a data frame.
        network_: the network, a torch module that reads open probabilities.
        n_iter_: epochs of the last `fit`, or in total with `partial_fit`.
        loss_: training loss of the last epoch.
        loss_curve_: of every epoch.
        validation_loss_curve_: of every epoch, with early stopping.
    """

    classes_: Array

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
        class_weight: ClassWeight = None,
        verbose: bool = False,
    ) -> None:
        super().__init__(
            hidden_layer_sizes,
            solver=solver,
            learning_rate_init=learning_rate_init,
            alpha=alpha,
            batch_size=batch_size,
            max_iter=max_iter,
            random_state=random_state,
            warm_start=warm_start,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            n_iter_no_change=n_iter_no_change,
            verbose=verbose,
        )
        self.class_weight = class_weight

    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Learn one more epoch from these rows, in batches, with a steady step.

        Means and standard deviations of features go on with what is seen.

        Args:
            X: (rows, features).
            y: (rows,).
            classes: all classes there will be; needed in the first call.
            sample_weight: (rows,), how much each row counts.

        Raises:
            InputError: as `fit`; or ``classes`` is missing, or not those of earlier calls.
        """
        if self.class_weight == "balanced":
            raise InputError("class_weight='balanced' needs all rows at once; give partial_fit a number for each class")
        known = None if classes is None else np.unique(np.asarray(classes))
        if not hasattr(self, "network_"):
            if known is None:
                raise InputError("classes must be passed on the first call to partial_fit: all that there will be")
            self.classes_ = known  # else `_numbers` would take those of the first rows for all
        elif known is not None and not np.array_equal(known, self.classes_):
            raise InputError(f"classes={known.tolist()}: earlier calls had {self.classes_.tolist()}")
        return self._partial_fit(X, y, sample_weight)

    def predict(self, X: ArrayLike) -> Array:
        """The most probable class of each row, (rows,)."""
        answers = self._answers(X)
        return self.classes_[answers.argmax(1)]

    def predict_proba(self, X: ArrayLike) -> Array:
        """The probability of each class, (rows, classes), in the order of ``classes_``."""
        return np.exp(self.predict_log_proba(X))

    def predict_log_proba(self, X: ArrayLike) -> Array:
        """Logarithms of the probabilities."""
        logarithms: Array = log_softmax(self._answers(X), axis=1)
        return logarithms

    # What the base asks -----------------------------------------------------------------------------------------------

    @staticmethod
    def _loss(outputs: Tensor, targets: tuple[Tensor, Tensor]) -> Tensor:
        classes, weights = targets
        return F.cross_entropy(outputs, classes, reduction="none") * weights

    def _outputs(self) -> int:
        return len(self.classes_)

    def _forget(self) -> None:
        super()._forget()
        self.__dict__.pop("classes_", None)

    def _numbers(self, y: Array, weights: Array) -> tuple[Array, Array]:
        y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        if not hasattr(self, "classes_"):
            self.classes_ = np.unique(y)
        numbers = np.searchsorted(self.classes_, y)
        known = self.classes_[np.minimum(numbers, len(self.classes_) - 1)] == y
        if not np.all(known):
            raise InputError(f"y has the class {y[~known][0]!r}; known are {self.classes_.tolist()}")
        return numbers, weights * self._weight_of_classes(numbers, weights)[numbers]

    def _weight_of_classes(self, numbers: Array, weights: Array) -> Array:
        if self.class_weight is None:
            return np.ones(len(self.classes_))
        if self.class_weight == "balanced":
            totals = np.bincount(numbers, weights, minlength=len(self.classes_))
            return totals.sum() / (len(self.classes_) * np.where(totals > 0, totals, 1.0))
        if not isinstance(self.class_weight, Mapping):
            raise InputError(f"class_weight={self.class_weight!r}: give a number for each class, 'balanced' or None")
        unknown = set(self.class_weight) - set(self.classes_.tolist())
        if unknown:
            raise InputError(f"class_weight has {sorted(unknown, key=str)}; the classes are {self.classes_.tolist()}")
        return np.array([float(self.class_weight.get(each, 1.0)) for each in self.classes_.tolist()])
