"""Exponentiated gradient: conductances are multiplied, so that none ever changes sign and strong ones move most."""

from collections.abc import Iterable
from typing import Any

from torch import Tensor

from conductance.optim.rule import Rule


class ExponentiatedGradient(Rule):
    """Exponentiated gradient with momentum (Kivinen & Warmuth 1997; Cornford et al. 2024 for Dale's law).

        M <- mu M + (1 - mu) gradient,   G <- G exp(-lr * size * M)

    The updates are relative, so conductances that start log-normal stay so. A conductance of 0 stays 0, and none
    becomes 0 in exact arithmetic.

    Args:
        params: parameters that are conductances themselves (``nonnegative="projected"``), or groups of them.
        lr: step size, > 0.
        momentum: mu, in [0, 1).
        size: factor of the step; a group may have its own. `create_optimizer` gives each layer fan-in times mean
            conductance: the gradient of an average falls with both.

    Raises:
        ValueError: a parameter holds a negative number.
    """

    # exp of more than this in one step is no gradient step any more
    LARGEST_EXPONENT = 1.0

    def __init__(self, params: Iterable[Any], lr: float, momentum: float = 0.9, size: float = 1.0) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "size": size})
        for group in self.param_groups:
            if any(bool((parameter < 0).any()) for parameter in group["params"]):
                raise ValueError("exponentiated gradient takes conductances, and found a negative number among them")

    def _move(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        exponent = self._momentum(parameter, gradient, group) * (-group["lr"] * group["size"])
        parameter.mul_(exponent.clamp_(-self.LARGEST_EXPONENT, self.LARGEST_EXPONENT).exp_())
