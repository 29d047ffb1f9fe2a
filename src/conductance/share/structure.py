"""A module as a tree of plain values, and a module made of such a tree: of classes in the table here, and no other."""

import warnings
from typing import Any

import torch
from torch import nn

from conductance.nn.base import AveragingLayer
from conductance.nn.inputs import ScaledInput
from conductance.nn.modes import require_module
from conductance.share.circuits import CIRCUIT_KINDS
from conductance.share.kinds import TORCH_KINDS, NotPlainError
from conductance.share.layers import LAYER_KINDS
from conductance.share.networks import NETWORK_KINDS

Tree = dict[str, Any]

KINDS = {kind.name: kind for kind in (*TORCH_KINDS, *LAYER_KINDS, *NETWORK_KINDS, *CIRCUIT_KINDS)}
"""What can be made of a file, by name."""

_BY_CLASS = {kind.module: kind for kind in KINDS.values()}

_KIND, _MODULES, _SAME_AS = "kind", "modules", "same_as"


class UnknownKindError(Exception):
    """A tree names a kind that this version does not have."""


def tree_of(module: nn.Module, name: str = "", seen: dict[nn.Module, str] | None = None) -> Tree:
    """The tree of a module.

    Args:
        module: the module.
        name: its name in the whole.
        seen: the names of modules that have trees already; one that stands at several places is said once.

    Raises:
        NotPlainError: code of others is in it, or a value that is not plain.
    """
    seen = {} if seen is None else seen
    if module in seen:
        return {_SAME_AS: seen[module]}
    kind = _BY_CLASS.get(type(module))
    if kind is None:
        raise NotPlainError(f"{name or 'it'} is a {class_name(module)}")
    seen[module] = name
    tree = {_KIND: kind.name, **kind.describe(module)}
    if kind.holds:
        parts = {part: inner for part, inner in module._modules.items() if inner is not None}
        tree[_MODULES] = {part: tree_of(inner, _joined(name, part), seen) for part, inner in parts.items()}
    return tree


def build(trees: dict[str, Tree]) -> dict[str, nn.Module]:
    """The modules of trees, by the names at which they stand, on the meta device: sizes without values.

    Raises:
        UnknownKindError: a kind that this version does not have.
        Exception: whatever wrong values bring.
    """
    built: dict[str, nn.Module] = {}
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what there was to say was said when the model was made
        return {name: _build(tree, name, built) for name, tree in trees.items()}


def _build(tree: Tree, name: str, built: dict[str, nn.Module]) -> nn.Module:
    if _SAME_AS in tree:
        return built[tree[_SAME_AS]]
    if tree[_KIND] not in KINDS:
        raise UnknownKindError(tree[_KIND])
    kind = KINDS[tree[_KIND]]
    options = {key: value for key, value in tree.items() if key not in (_KIND, _MODULES)}
    modules = {part: _build(inner, _joined(name, part), built) for part, inner in tree.get(_MODULES, {}).items()}
    built[name] = kind.build(options, modules)
    return built[name]


def converted_parts(model: nn.Module) -> dict[str, Tree]:
    """The trees of what `conductance.convert` has put into a network of others: layers of conductances, identities.

    A layer of a class of its own is left to the code that makes the network.
    """
    found: dict[str, Tree] = {}
    seen: dict[nn.Module, str] = {}

    def look(module: nn.Module, name: str) -> None:
        if name and (_averages(module) or type(module) is nn.Identity):
            before = dict(seen)
            try:
                found[name] = tree_of(module, name, seen)
                return
            except NotPlainError:
                seen.clear()
                seen.update(before)
        for part, inner in module._modules.items():
            if inner is not None:
                look(inner, _joined(name, part))

    look(model, "")
    return found


def _averages(module: nn.Module) -> bool:
    return isinstance(module.layer if isinstance(module, ScaledInput) else module, AveragingLayer)


def unwrapped(model: nn.Module) -> nn.Module:
    """What `torch.compile` or data-parallel training was given."""
    require_module(model)
    if "_orig_mod" in model._modules:
        return unwrapped(model.get_submodule("_orig_mod"))
    if isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
        return unwrapped(model.module)
    return model


def class_name(module: nn.Module) -> str:
    """The class of a module, and where it is from."""
    kind = type(module)
    return f"{kind.__module__}.{kind.__qualname__}"


def _joined(name: str, part: str) -> str:
    return f"{name}.{part}" if name else part
