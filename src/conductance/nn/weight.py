"""G under the name ``weight``: to be looked at by code for torch's layers, but neither multiplied nor written to."""

import copy
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from conductance.errors import InputError

# What computes an affine sum by itself, and would take conductances for its signed weights.
_PRODUCTS = frozenset(
    (
        "linear", "bilinear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d",
        "multi_head_attention_forward", "scaled_dot_product_attention", "addmm", "baddbmm", "embedding",
    )
)  # fmt: skip
# Methods that end like those that write, and write nothing into the numbers.
_HARMLESS = frozenset(("detach_", "share_memory_", "retain_grad_"))
_INDEXED = frozenset(("__setitem__", "__set__", "index_put_"))
_OPERATORS = frozenset(
    f"__i{name}__"
    for name in (
        "add",
        "sub",
        "mul",
        "div",
        "truediv",
        "floordiv",
        "mod",
        "pow",
        "and",
        "or",
        "xor",
        "lshift",
        "rshift",
    )
)
# What shows the same numbers in another form.
_VIEWS = frozenset(
    (
        "__get__", "__getitem__", "as_strided", "chunk", "contiguous", "cpu", "detach", "diagonal", "expand",
        "expand_as", "flatten", "index", "moveaxis", "movedim", "narrow", "permute", "ravel", "reshape", "reshape_as",
        "select", "split", "squeeze", "swapaxes", "swapdims", "t", "to", "transpose", "unbind", "unflatten", "unfold",
        "unsqueeze", "view", "view_as",
    )
)  # fmt: skip


class ReadWeight(Tensor):
    """The conductances of a layer, by the name that torch's layers have for their weights.

    They can be read as any tensor. What would be wrong without an error is refused by its name: to multiply them as an
    affine layer does its weights, for no average comes of it; and to write to them, for the layer reads its ``g``. As
    torch's own fast paths leave tensors of other classes alone, modules such as ``nn.TransformerEncoderLayer`` call the
    layer in evaluation mode too.
    """

    @classmethod
    def __torch_function__(
        cls, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        name = getattr(func, "__name__", "")
        if name in _PRODUCTS:
            raise InputError(
                f"{name} was given layer.weight of a layer of conductances, which is no affine weight: the layer "
                "averages. Call the layer; where a module of torch computes with its weights (nn.MultiheadAttention "
                "with out_proj), keep a torch.nn.Linear there"
            )
        written = args[0] if args else (kwargs or {}).get("tensor")
        if isinstance(written, cls) and _writes(name):
            raise InputError(
                f"{name} would write to layer.weight of a layer of conductances, which reads as G and is computed "
                "from layer.g; use layer.set_conductance(G), layer.reset_parameters() or layer.requires_grad_(...)"
            )
        with torch._C.DisableTorchFunctionSubclass():
            found = func(*args, **(kwargs or {}))
        return _as_read(found) if name in _VIEWS else found

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.as_subclass(Tensor).__reduce_ex__(protocol)  # files hold a plain tensor

    def __deepcopy__(self, memo: Any) -> Tensor:
        copied: Tensor = copy.deepcopy(self.as_subclass(Tensor), memo)
        return copied


def _writes(name: str) -> bool:
    ends = name.endswith("_") and not name.endswith("__") and name not in _HARMLESS
    return ends or name in _INDEXED or name in _OPERATORS


def _as_read(found: Any) -> Any:
    if isinstance(found, Tensor):
        return found.as_subclass(ReadWeight)
    return (
        type(found)(map(_as_read, found))
        if isinstance(found, (tuple, list)) and type(found) in (tuple, list)
        else found
    )


def read_weight(conductance: Tensor) -> Tensor:
    """Conductances as `ReadWeight`; those that torch records or rewrites stay what they are."""
    return conductance.as_subclass(ReadWeight) if type(conductance) is Tensor else conductance
