"""How a conductance stays non-negative: G = h(g), with g the parameter that the optimizer moves."""

import warnings
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import Parameter
from torch.nn import functional as F

from conductance.eager import eager
from conductance.errors import UnknownNameError

NonnegativeForm = Literal["clamped", "rectified", "softplus"]


class Nonnegative(NamedTuple):
    """A map h from a parameter g to a conductance G >= 0, and the g that gives a wanted G."""

    conductance: Callable[[Tensor], Tensor]
    parameter: Callable[[Tensor], Tensor]


class _Clamp(Function):
    """max(g, 0) with the gradient of g.

    A synapse at 0 so still learns that it should open, and what closes it is not lost to momentum or to the matrix
    that Muon makes orthogonal: a gradient cut off below 0 costs Muon eight points of accuracy (docs/training.md).
    """

    @staticmethod
    def forward(ctx: Any, g: Tensor) -> Tensor:
        del ctx
        return g.clamp(min=0)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        del ctx
        return gradient


def clamped(g: Tensor) -> Tensor:
    """G = max(g, 0), with dG/dg = 1 everywhere."""
    if not (g.requires_grad and torch.is_grad_enabled()) and eager():
        return g.clamp(min=0)
    if eager():
        result: Tensor = _Clamp.apply(g)
        return result
    return g + (g.clamp(min=0) - g).detach()  # exactly max(g, 0), for what sees through operations


def note_nonnegative(g: Tensor) -> None:
    """Remember that no value of this parameter is negative as it stands, for `known_nonnegative`."""
    if not torch.compiler.is_compiling() and type(g) is Parameter and not g.is_inference():
        g._nonnegative_at = _state(g)  # type: ignore[attr-defined]


def known_nonnegative(g: Tensor) -> bool:
    """Whether `note_nonnegative` was told so, and nothing has been written into the parameter since.

    torch counts what is written into a tensor, but not what is written through its ``.data``: who makes conductances
    negative that way says so by ``layer.set_conductance``, or by any operation on the parameter itself.
    """
    noted = getattr(g, "_nonnegative_at", None)
    return noted is not None and eager() and type(g) is Parameter and noted == _state(g)


def _state(g: Tensor) -> tuple[int, int]:
    return g._version, g.data_ptr()


def _positive(G: Tensor) -> Tensor:
    """G, or the smallest normal number: exp and softplus never reach 0."""
    return G.clamp(min=torch.finfo(G.dtype).tiny)


def _inverse_softplus(G: Tensor) -> Tensor:
    G = _positive(G)
    return G + torch.log(-torch.expm1(-G))


NONNEGATIVE: dict[str, Nonnegative] = {
    "clamped": Nonnegative(clamped, lambda G: G),
    # The paper's h (section 4.3). Flat below g = -1: a synapse that gets there is lost to its gradient.
    "rectified": Nonnegative(lambda g: F.relu(1 + g), lambda G: G - 1),
    "softplus": Nonnegative(F.softplus, _inverse_softplus),
    # Deprecated: G grows without bound under the default optimizer, until it is infinite.
    "exp": Nonnegative(torch.exp, lambda G: _positive(G).log()),
}


def require_form(name: str) -> str:
    """The name of a form in `NONNEGATIVE`; names of 0.1 are translated, with a warning.

    Raises:
        UnknownNameError: there is no such form.
    """
    if name == "projected":
        _deprecate('nonnegative="projected" is now "clamped": the same parameters, and no optimizer needs a hook')
        return "clamped"
    if name == "exp":
        _deprecate('nonnegative="exp" goes in 0.3: its conductances grow until they are infinite; use "clamped"')
    if name not in NONNEGATIVE:
        raise UnknownNameError("way to keep conductances non-negative", name, NONNEGATIVE)
    return name


def _deprecate(message: str) -> None:
    warnings.warn(message, DeprecationWarning, stacklevel=2)
