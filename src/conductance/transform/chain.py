"""What types alone tell of a network: the order of an ``nn.Sequential``, without any example."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from conductance.errors import InputError
from conductance.nn.base import AveragingLayer
from conductance.ranges import Extent
from conductance.transform.recording import CALL, DATA, UNKNOWN, Recording, Value
from conductance.transform.survey import CONVERTED, is_norm

_aten = torch.ops.aten
_FUNCTIONS: dict[type[nn.Module], Any] = {
    nn.ReLU: _aten.relu.default,
    nn.ReLU6: _aten.relu.default,
    nn.GELU: _aten.gelu.default,
    nn.SiLU: _aten.silu.default,
    nn.Sigmoid: _aten.sigmoid.default,
    nn.Tanh: _aten.tanh.default,
}
_SAME = (nn.Identity, nn.Flatten, nn.Unflatten, nn.modules.dropout._DropoutNd)
_MAX_POOLS = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d)
_MEAN_POOLS = (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d, nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.Upsample)


def chain(model: nn.Module) -> Recording:
    """The calls of an ``nn.Sequential``, one after the other; data are taken to lie in [0, 1].

    Raises:
        InputError: the model is anything else.
    """
    if type(model) is not nn.Sequential and type(model) not in CONVERTED:
        raise InputError(
            f"without an example only the order of an nn.Sequential is known, and this is a {type(model).__name__}; "
            "give an example of its input"
        )
    values = [Value(DATA, "", seen=Extent(0.0, 1.0))]
    inputs = {}
    for name, module in _parts(model, ""):
        values.append(_value(name, module, values[-1]))
        values[-2].readers.append(values[-1])
        inputs[name] = Extent(0.0, 1.0)
    values[-1].is_output = True
    return Recording(values, inputs, set())


def _parts(module: nn.Module, name: str) -> Iterator[tuple[str, nn.Module]]:
    if type(module) is nn.Sequential:
        for part, child in module.named_children():
            yield from _parts(child, f"{name}.{part}" if name else part)
    else:
        yield name, module


def _value(name: str, module: nn.Module, before: Value) -> Value:
    if type(module) in CONVERTED or isinstance(module, AveragingLayer) or is_norm(module):
        value = Value(CALL, name, (before,))
    elif type(module) in _FUNCTIONS:
        value = Value(_FUNCTIONS[type(module)], name, (before,), ((before,), {}))
    else:
        kinds = {"view": _SAME, "max_pool2d": _MAX_POOLS, "avg_pool2d": _MEAN_POOLS}
        op = next((op for op, types in kinds.items() if isinstance(module, types)), UNKNOWN)
        value = Value(op, name, (before,))
    if getattr(module, "inplace", False) is True:
        before.writers.append(value)
    return value
