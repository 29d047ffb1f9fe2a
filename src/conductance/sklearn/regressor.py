"""The regressor."""

from dataclasses import replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import RegressorMixin
from sklearn.utils import Tags
from torch import Tensor

from conductance.errors import InputError
from conductance.sklearn.base import CWAEstimator
from conductance.sklearn.features import Scale
from conductance.sklearn.samples import Samples

Array = NDArray[Any]


class CWARegressor(RegressorMixin, CWAEstimator):
    """A regressor for scikit-learn: layers of conductances and a linear readout, trained on the squared error.

    Features and targets may have any range; targets are standardized inside, and may be several for each row. All else
    is as in `CWAClassifier`, which describes the parameters.
    """

    def partial_fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Learn one more epoch from these rows, in batches, with a steady step.

        Means and standard deviations of features and targets go on with what is seen.

        Args:
            X: (rows, features).
            y: (rows,) or (rows, outputs).
            sample_weight: (rows,), how much each row counts.

        Raises:
            InputError: as `fit`.
        """
        return self._partial_fit(X, y, sample_weight)

    def predict(self, X: ArrayLike) -> Array:
        """The value of each row, (rows,) or (rows, outputs) as in training."""
        answers = self._answers(X)
        restored: Array = self._targets.restored(answers).astype(answers.dtype)
        return restored[:, 0] if self._flat else restored

    # What the base asks -----------------------------------------------------------------------------------------------

    @staticmethod
    def _loss(outputs: Tensor, targets: tuple[Tensor, Tensor]) -> Tensor:
        values, weights = targets
        return (outputs - values).square().mean(1) * weights

    def _outputs(self) -> int:
        return len(self._targets.mean)

    def _forget(self) -> None:
        super()._forget()
        self.__dict__.pop("_targets", None)

    def _numbers(self, y: Array, weights: Array) -> tuple[Array, Array]:
        values = y.astype(np.float64).reshape(len(y), -1)
        if not hasattr(self, "_targets"):
            self._flat = y.ndim == 1
            self._targets = Scale(values.shape[1])
        elif values.shape[1] != self._outputs():
            raise InputError(f"y has {values.shape[1]} values for each row; the network gives {self._outputs()}")
        return values, weights

    def _see(self, samples: Samples) -> None:
        super()._see(samples)
        self._targets.update(samples.y, samples.weights)

    def _encoded(self, samples: Samples) -> Samples:
        return replace(super()._encoded(samples), y=self._targets.standardized(samples.y))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
