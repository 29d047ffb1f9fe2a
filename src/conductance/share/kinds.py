"""Which modules can be said in plain values, and made of them again: torch's own, by the arguments that they keep."""

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

Options = dict[str, Any]
Modules = Mapping[str, nn.Module]


class NotPlainError(Exception):
    """A module holds what no plain values say."""


@dataclass(frozen=True)
class Kind:
    """How modules of one class are said in plain values.

    Attributes:
        name: in files.
        module: the class itself; subclasses may compute something else.
        describe: what a module of this class was made with.
        build: makes one of such options and of the modules that it holds.
        holds: whether it holds modules that have descriptions of their own.
    """

    name: str
    module: type[nn.Module]
    describe: Callable[[Any], Options]
    build: Callable[[Options, Modules], nn.Module]
    holds: bool = False


def by_signature(module: type[nn.Module]) -> Kind:
    """A class that keeps its arguments under their own names, as torch's do."""

    def build(options: Options, modules: Modules) -> nn.Module:
        del modules
        return module(**with_dtype(options))

    return Kind(module.__name__, module, arguments, build)


def arguments(module: nn.Module) -> Options:
    """The arguments that a module was made with, as plain values; a bias is there or not.

    Raises:
        NotPlainError: one of them is something else, a function for example.
    """
    found: Options = {}
    for name, parameter in inspect.signature(type(module).__init__).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD) or name == "self" or name[0] == "_":
            continue
        if name == "bias":
            found[name] = module.bias is not None
        elif name == "dtype":
            found |= dtype_of(module)
        elif name != "device":
            found[name] = plain(getattr(module, name, parameter.default))
    return found


def dtype_of(module: nn.Module) -> Options:
    """The type in which a module holds its numbers, if it holds any."""
    held = [*module.parameters(recurse=False), *module.buffers(recurse=False)]
    first = next((tensor for tensor in held if tensor.is_floating_point()), None)
    return {} if first is None else {"dtype": str(first.dtype).removeprefix("torch.")}


def with_dtype(options: Options) -> Options:
    """Options as Python takes them: tuples for lists, torch's type for its name."""
    found: Options = {name: tuple(value) if isinstance(value, list) else value for name, value in options.items()}
    if "dtype" in found:
        found["dtype"] = dtype_named(found["dtype"])
    return found


def dtype_named(name: str) -> torch.dtype:
    """torch's type of a name such as "float32".

    Raises:
        ValueError: there is none.
    """
    dtype = getattr(torch, str(name), None)
    if not isinstance(dtype, torch.dtype):
        raise ValueError(f"no type {name!r}")
    return dtype


def plain(value: Any) -> Any:
    """A value that JSON holds: a number, a word, None, or a list of them.

    Raises:
        NotPlainError: it is something else.
    """
    if isinstance(value, (tuple, list)):
        return [plain(part) for part in value]
    if value is None or isinstance(value, (bool, int, str)) or (isinstance(value, float) and math.isfinite(value)):
        return value
    raise NotPlainError(f"it holds {value!r}, which is no plain value")


_TORCH = (
    nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d,
    nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d,
    nn.GroupNorm, nn.LayerNorm, nn.RMSNorm, nn.Embedding,
    nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d,
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Mish, nn.Sigmoid, nn.Tanh, nn.Softplus,
    nn.Hardtanh, nn.Hardsigmoid, nn.Hardswish, nn.Softmax, nn.LogSoftmax,
    nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d,
    nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d,
    nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d,
    nn.Identity, nn.Flatten, nn.Unflatten, nn.Upsample, nn.PixelShuffle, nn.ZeroPad2d,
)  # fmt: skip

TORCH_KINDS = tuple(map(by_signature, _TORCH))
