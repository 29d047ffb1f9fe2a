"""Between which bounds each value of a recorded pass lies, whatever data comes: interval arithmetic."""

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from conductance.ranges import Extent
from conductance.transform.recording import CALL, CONSTANT, DATA, Value

_INFINITE = float("inf")


class Interval(NamedTuple):
    """All values lie in [low, high]."""

    low: float
    high: float

    @property
    def finite(self) -> bool:
        """Whether both bounds are."""
        return math.isfinite(self.low) and math.isfinite(self.high)


UNBOUNDED = Interval(-_INFINITE, _INFINITE)
ZERO = Interval(0.0, 0.0)
POTENTIALS = Interval(-1.0, 1.0)

# Operators that pass each number on as it is, so that what each channel is does not change.
SAME = frozenset(
    (
        "view", "_unsafe_view", "reshape", "permute", "transpose", "t", "expand", "clone", "contiguous", "alias",
        "detach", "squeeze", "unsqueeze", "flatten", "unflatten", "movedim", "_to_copy", "lift_fresh", "as_strided",
        "pixel_shuffle", "pixel_unshuffle", "channel_shuffle", "native_channel_shuffle", "dropout",
    )
)  # fmt: skip
# Those that select, repeat or average, so that results stay between the smallest and the largest input.
_BETWEEN = SAME | frozenset(
    (
        "slice", "select", "split", "split_with_sizes", "unbind", "chunk", "index", "index_select", "gather", "cat",
        "stack", "flip", "roll", "unfold", "repeat", "narrow", "diagonal", "mean", "amax", "amin", "max", "min",
        "maximum", "minimum", "sort", "topk", "where", "reflection_pad1d", "reflection_pad2d", "reflection_pad3d",
        "replication_pad1d", "replication_pad2d", "replication_pad3d", "max_pool1d", "max_pool2d", "max_pool3d",
        "max_pool2d_with_indices", "max_pool3d_with_indices", "adaptive_max_pool1d", "adaptive_max_pool2d",
        "adaptive_max_pool3d", "_adaptive_avg_pool2d", "_adaptive_avg_pool3d", "adaptive_avg_pool1d",
        "upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d", "upsample_linear1d",
        "upsample_bilinear2d", "upsample_trilinear3d", "copy", "lerp",
    )
)  # fmt: skip
_POINTWISE_WITHOUT_TAG = ("hardswish", "hardsigmoid", "hardtanh", "relu6", "mish", "softplus", "celu", "selu")
# Those that put zeros beside.
_BETWEEN_AND_ZERO = frozenset(["avg_pool1d", "avg_pool2d", "avg_pool3d", "im2col"])


def intervals(values: list[Value], of_call: Callable[[Value, Interval], Interval]) -> dict[Value, Interval]:
    """The interval of each value.

    Args:
        values: in the order in which they were made.
        of_call: the interval of what a module that is recorded as a whole returns, given that of what it reads.
    """
    found: dict[Value, Interval] = {}
    for value in values:
        if value.op == CALL:
            found[value] = of_call(value, hull(*(found[each] for each in value.inputs[:1])))
        else:
            found[value] = _interval(value, found)
    return found


def hull(*parts: Interval) -> Interval:
    """The smallest interval that holds all of them."""
    return Interval(min(p.low for p in parts), max(p.high for p in parts)) if parts else UNBOUNDED


def is_pointwise(value: Value) -> bool:
    """Whether an operation maps each number of a single value to one number, the same way everywhere."""
    return is_elementwise(value) and len(value.inputs) == 1


def is_elementwise(value: Value) -> bool:
    """Whether an operation makes each number from one number of each input."""
    if isinstance(value.op, str):
        return False
    return torch.Tag.pointwise in value.op.tags or value.name in _POINTWISE_WITHOUT_TAG


def apply(value: Value, numbers: Tensor) -> Tensor:
    """A pointwise operation done on other numbers."""
    args, kwargs = value.arguments
    result: Tensor = value.op(
        *(numbers.clone() if isinstance(each, Value) else each for each in args),
        **{name: numbers.clone() if isinstance(each, Value) else each for name, each in kwargs.items()},
    )
    return result


def does_as(value: Value, wanted: Callable[[Tensor], Tensor], within: Interval = POTENTIALS) -> bool:
    """Whether a pointwise operation is another function there."""
    if not is_pointwise(value):
        return False
    numbers = _grid(within)
    result = apply(value, numbers)
    return result.is_floating_point() and torch.allclose(result, wanted(numbers), atol=1e-6)


def _interval(value: Value, found: Mapping[Value, Interval]) -> Interval:
    name = value.name
    seen = value.seen
    if value.op == CONSTANT and seen is not None and not seen.is_nan:
        return Interval(*seen)
    if value.op == DATA and seen is not None:
        return _of_data(seen)
    parts = [found[each] for each in value.inputs]
    if is_pointwise(value):
        return _mapped(value, parts[0])
    if name in _BETWEEN:
        return hull(*parts[1 if name == "where" else 0 :])
    if name in _BETWEEN_AND_ZERO:
        return hull(*parts, ZERO)
    if name == "constant_pad_nd":
        padding = float(value.arguments[0][2]) if len(value.arguments[0]) > 2 else 0.0
        return hull(parts[0], Interval(padding, padding))
    if name in ("_softmax", "_safe_softmax"):
        return Interval(0.0, 1.0)
    if name in ("add", "sub") and len(parts) == 2:
        factor = float(value.arguments[1].get("alpha", 1)) * (1 if name == "add" else -1)
        return _sum(parts[0], _product(parts[1], Interval(factor, factor)))
    if name == "mul" and len(parts) == 2:
        return _product(*parts)
    if name == "div" and len(parts) == 2 and parts[1].finite and (parts[1].low > 0 or parts[1].high < 0):
        return _product(parts[0], Interval(1 / parts[1].high, 1 / parts[1].low))
    return UNBOUNDED


def _of_data(seen: Extent) -> Interval:
    """Data that lay in [0, 1] are open probabilities; of others, an example shows the sign alone."""
    if seen.within(0.0, 1.0):
        return Interval(0.0, 1.0)
    return Interval(0.0 if seen.low >= 0 else -_INFINITE, _INFINITE)


def _mapped(value: Value, given: Interval) -> Interval:
    """By trial on a grid; what is very large at the ends of it is taken to grow without bound."""
    result = apply(value, _grid(given)).double()
    if result.isnan().any():
        return UNBOUNDED
    low, high = float(result.min()), float(result.max())
    return Interval(-_INFINITE if low < -_LARGE / 10 else low, _INFINITE if high > _LARGE / 10 else high)


_LARGE = 1e6


def _grid(given: Interval) -> Tensor:
    low, high = max(given.low, -_LARGE), min(given.high, _LARGE)
    numbers = torch.linspace(max(low, -20.0), min(high, 20.0), 4001, dtype=torch.float64)
    return torch.cat([numbers, torch.tensor([low, high, min(max(0.0, low), high)], dtype=torch.float64)])


def _sum(a: Interval, b: Interval) -> Interval:
    return Interval(a.low + b.low, a.high + b.high)


def _product(a: Interval, b: Interval) -> Interval:
    ends = [x * y if x and y else 0.0 for x in a for y in b]
    return Interval(min(ends), max(ends))
