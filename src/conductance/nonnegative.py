"""How a conductance stays non-negative: G = h(g), with g the parameter that the optimizer moves."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


class Nonnegative(NamedTuple):
    """A map h from a parameter g to a conductance G >= 0, and the g that gives a wanted G."""

    conductance: Callable[[Tensor], Tensor]
    parameter: Callable[[Tensor], Tensor]


def _positive(G: Tensor) -> Tensor:
    """Exp and softplus never reach 0; the smallest normal number stands for it."""
    return G.clamp(min=torch.finfo(G.dtype).tiny)


def _inverse_softplus(G: Tensor) -> Tensor:
    G = _positive(G)
    return G + torch.log(-torch.expm1(-G))


NONNEGATIVE: dict[str, Nonnegative] = {
    # The paper's h (section 4.3). Flat below g = -1: a synapse that gets there is lost to its gradient.
    "rectified": Nonnegative(lambda g: F.relu(1 + g), lambda G: G - 1),
    "exp": Nonnegative(torch.exp, lambda G: _positive(G).log()),
    "softplus": Nonnegative(F.softplus, _inverse_softplus),
    # g is G itself; `conductance.optim` clamps it at 0 after each step, so a silent synapse can return.
    "projected": Nonnegative(lambda g: g, lambda G: G),
}
