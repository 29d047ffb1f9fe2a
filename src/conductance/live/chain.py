"""A network as a chain of modules, each of which reads what the one before it returns."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, fx, nn

from conductance.errors import InputError
from conductance.nn import AveragingLayer
from conductance.transform.flow import passes

Link = tuple[str, nn.Module]

SAME = (nn.Identity, nn.modules.dropout._DropoutNd)
"""Modules that change nothing where a network is used."""

_FUNCTIONS: dict[Any, type[nn.Module]] = {
    torch.flatten: nn.Flatten,
    "flatten": nn.Flatten,
    torch.relu: nn.ReLU,
    nn.functional.relu: nn.ReLU,
    "relu": nn.ReLU,
}


def chain_of(model: nn.Module) -> list[Link]:
    """The modules of a network in the order in which data pass them, those that change nothing left out.

    Raises:
        InputError: the network has shortcuts, several inputs or outputs, or does anything else than call its modules
            one after the other.
    """
    if isinstance(model, AveragingLayer):
        return [("layer", model)]
    found = passes(model)
    if not found:
        raise InputError(f"{_cannot(model)}: its forward pass depends on values; show an nn.Sequential, FCN or CNN")
    return [(name, part) for name, part in _links(model, found[0].graph) if not isinstance(part, SAME)]


def _links(model: nn.Module, graph: fx.Graph) -> Iterator[Link]:
    before: fx.Node | None = None
    for node in graph.nodes:
        if node.op == "output":
            if node.args != (before,):
                raise InputError(f"{_cannot(model)}: it returns more than one tensor")
            return
        if node.op == "placeholder" and before is None:
            before = node
            continue
        if before is None or node.all_input_nodes != [before] or len(before.users) != 1:
            raise InputError(
                f"{_cannot(model)}: {_name(node)} reads something else than the layer before it alone, and only "
                "chains of layers can be shown (FCN, CNN, nn.Sequential)"
            )
        before = node
        yield _name(node), _module(model, node)


def _module(model: nn.Module, node: fx.Node) -> nn.Module:
    if node.op == "call_module":
        return model.get_submodule(str(node.target))
    kind = _FUNCTIONS.get(node.target)
    if kind is None:
        raise InputError(f"{_cannot(model)}: it calls {_name(node)}, which no layer does")
    return kind()


def _name(node: fx.Node) -> str:
    return str(node.target) if node.op == "call_module" else node.name


def _cannot(model: nn.Module) -> str:
    return f"{type(model).__name__} cannot be shown on a live page"


@torch.no_grad()
def shapes_along(links: list[Link], example: Tensor) -> list[tuple[int, ...]]:
    """What each module reads, without the number of samples, and at the end what the last one returns."""
    shapes = [tuple(example.shape[1:])]
    for _, module in links:
        example = module(example)
        shapes.append(tuple(example.shape[1:]))
    return shapes
