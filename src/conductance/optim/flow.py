"""Which layers feed which: the data flow of a network, found in one forward pass."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from conductance.errors import InputError
from conductance.nn.modes import call, evaluating
from conductance.sharded import reshard


@dataclass(frozen=True)
class Flow:
    """What one forward pass shows.

    Attributes:
        outputs: the mixing layers whose output reaches the model's output with no further mixing layer in between.
        depth: the largest number of mixing layers in series, from the model's input to its output.
    """

    outputs: frozenset[nn.Module]
    depth: int


def data_flow(model: nn.Module, example: Any) -> Flow:
    """Run ``model`` once, in evaluation mode, and see where its output comes from.

    A *mixing* layer has a parameter of two or more axes of its own: linear layers, convolutions, conductance layers,
    embeddings, recurrent layers. Normalization and activation functions are not.

    Args:
        model: any module.
        example: an input of the model, in any of the forms that `modes.call` takes.

    Raises:
        InputError: no mixing layer reaches the output through differentiable operations.
    """
    flow = _Recorder()
    mixing = [module for module in model.modules() if _mixes(module)]
    handles = [layer.register_forward_hook(flow.cut, with_kwargs=True) for layer in mixing]
    try:
        with evaluating(model), torch.enable_grad(), torch.compiler.set_stance("force_eager"):
            sources = list(flow.sources(call(model, example)))
    finally:
        for handle in handles:
            handle.remove()
        reshard(model)
    if not sources:
        raise InputError(
            "no layer reaches the model's output through differentiable operations, so its readout cannot be found; "
            "name it (readout=...)"
        )
    return Flow(frozenset(layer for layer, _ in sources), max(depth for _, depth in sources))


class _Recorder:
    """Replaces outputs of mixing layers by tensors without a history, and finds these in whatever depends on them."""

    def __init__(self) -> None:
        self._origins: dict[int, tuple[nn.Module, int]] = {}
        self._leaves: list[Tensor] = []  # as long as they live, no other tensor has their id

    def cut(self, layer: nn.Module, args: Any, kwargs: Any, output: Any) -> Any:
        depth = 1 + max((depth for _, depth in self.sources((args, kwargs))), default=0)

        def leaf(value: Any) -> Any:
            if not (isinstance(value, Tensor) and (value.is_floating_point() or value.is_complex())):
                return value
            new = value.detach().requires_grad_()
            self._origins[id(new)] = layer, depth
            self._leaves.append(new)
            return new.clone()  # which may be changed in place

        return tree_map(leaf, output)

    def sources(self, tensors: Any) -> Iterator[tuple[nn.Module, int]]:
        """The layers, and their depths, that ``tensors`` depend on with no other layer in between."""
        nodes = [value.grad_fn for value in tree_leaves(tensors) if isinstance(value, Tensor)]
        seen: set[Any] = set()
        while nodes:
            node = nodes.pop()
            if node is None or node in seen:
                continue
            seen.add(node)
            origin = self._origins.get(id(getattr(node, "variable", None)))
            if origin is not None:
                yield origin
            nodes += [following for following, _ in node.next_functions]


def _mixes(module: nn.Module) -> bool:
    parametrizations = getattr(module, "parametrizations", {})
    own = [*module.parameters(recurse=False), *(p for part in parametrizations.values() for p in part.parameters())]
    return any(parameter.ndim >= 2 for parameter in own)
