"""Whether the numbers of a network are all finite."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from conductance.errors import InputError


def not_finite(state: Mapping[str, Any]) -> str | None:
    """What is wrong with the first tensor that holds infinite values or NaN; None if there is none."""
    for name, value in state.items():
        if is_lazy(value):  # it has no numbers yet
            continue
        if isinstance(value, Tensor) and not value.is_meta and (value.is_floating_point() or value.is_complex()):
            bad = value.numel() - int(value.isfinite().sum())
            if bad:
                return f"{name} has {bad} of {value.numel()} values that are infinite or NaN"
    return None


def require_finite(model: nn.Module, purpose: str) -> None:
    """Check a network before it is used for ``purpose``.

    Raises:
        InputError: a parameter or a buffer holds infinite values or NaN.
    """
    refused = not_finite({**dict(model.named_parameters()), **dict(model.named_buffers())})
    if refused:
        raise InputError(f"{refused}, so it cannot be {purpose}; go back to an earlier checkpoint")
