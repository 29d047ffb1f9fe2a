"""Which module reads what another one returns: learned from symbolic passes of ``torch.fx``."""

import copy
import dis
import gc
import inspect
import itertools
import warnings
import weakref
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from types import CodeType
from typing import Any, NamedTuple

from torch import Tensor, fx, nn
from torch.overrides import TorchFunctionMode

from conductance.nn import AveragingLayer, GapJunction
from conductance.transform.frozen import FrozenAverage, NormalizedLinear

# Each argument with a default value doubles the number of passes.
MOST_PASSES = 16


class Pass(NamedTuple):
    """One symbolic pass through a network.

    Attributes:
        graph: the operations and the calls of modules.
        kept: the nodes whose values are still referred to after the pass, by a list or a closure for example.
        read: the ids of the network's tensors that are read by anything but the module that holds them.
    """

    graph: fx.Graph
    kept: frozenset[fx.Node]
    read: frozenset[int]

    def calls(self) -> dict[str, list[fx.Node]]:
        """The calls of each module, by its name."""
        found: dict[str, list[fx.Node]] = {}
        for node in self.graph.nodes:
            if node.op == "call_module":
                found.setdefault(str(node.target), []).append(node)
        return found

    def does_as(self, other: "Pass") -> bool:
        """Whether both do the same operations and call modules of the same names, on the same values in turn."""
        return self._lines() == other._lines()

    def _lines(self) -> list[str]:
        return [f"{n.name} = {n.op} {n.target} {n.args} {n.kwargs} {n in self.kept}" for n in self.graph.nodes]


def passes(model: nn.Module) -> list[Pass] | None:
    """One symbolic pass for each way to call ``model``; None where symbols do not say what it does.

    An argument without a default value stands for a tensor, or for a container of tensors that is taken apart by index
    or unpacking. One with a default value is given and left out in turn; a flag is True and False in turn. A control
    flow that depends on values, a ``forward`` set on the instance, keyword arguments without names that are used and
    more than `MOST_PASSES` passes give None.

    Args:
        model: any module. It is not changed: a copy of its structure is traced, which shares its tensors.
    """
    ways = _ways_to_call(model)
    if ways is None:
        return None
    found = []
    for given in ways:
        try:
            found.append(_trace(with_shared_tensors(model), given))
        except Exception:  # whatever a network does with what it takes for tensors
            return None
        if any(node.op == "placeholder" and "*" in str(node.target) and node.users for node in found[-1].graph.nodes):
            return None
    return found


def sole_readers(model: nn.Module, found: Iterable[Pass]) -> dict[str, str]:
    """For each module whose output only one other module reads, the name of that one; by name.

    Both are called at most once in a pass, and in the same passes. Nothing else reads the output or keeps it, nothing
    reads the parameters of either, and neither is part of a module that is recorded as a whole.
    """
    found = list(found)
    modules = dict(model.named_modules())
    pairs = {pair for each in found for pair in _pairs(each)}
    for each in found:
        times = Counter({name: len(nodes) for name, nodes in each.calls().items()})
        hidden = {id(part) for name in times for part in modules[name].modules() if part is not modules[name]}
        present = set(_pairs(each))
        pairs = {
            (name, reader)
            for name, reader in pairs
            if ((name, reader) in present or times[name] == times[reader] == 0)
            and not any(_is_touched(modules[part], hidden, each.read) for part in (name, reader))
        }
    return dict(pairs)


def _pairs(each: Pass) -> Iterator[tuple[str, str]]:
    calls = each.calls()
    for name, (node, *again) in calls.items():
        readers = list(node.users)
        if again or len(readers) != 1 or node in each.kept or readers[0].op != "call_module":
            continue
        reader = str(readers[0].target)
        if len(calls[reader]) == 1 and len(readers[0].args) + len(readers[0].kwargs) == 1:
            yield name, reader


def _is_touched(module: nn.Module, hidden: set[int], read: frozenset[int]) -> bool:
    return id(module) in hidden or any(id(tensor) in read for tensor in _tensors(module))


def with_shared_tensors(model: nn.Module) -> nn.Module:
    """A copy whose modules are its own, and whose parameters and buffers are the model's."""
    return copy.deepcopy(model, {id(tensor): tensor for tensor in _tensors(model)})


def _tensors(model: nn.Module) -> Iterator[Tensor]:
    return itertools.chain(model.parameters(), model.buffers())


def _ways_to_call(model: nn.Module) -> list[dict[str, Any]] | None:
    """The values of arguments that are not symbols, one mapping for each pass."""
    if "forward" in vars(model):
        return None  # torch.fx would trace that of the class
    choices: list[list[tuple[str, Any]]] = []
    for name, argument in inspect.signature(type(model).forward).parameters.items():
        if argument.default is inspect.Parameter.empty:
            continue
        other: Any = not argument.default if isinstance(argument.default, bool) else _SYMBOL
        choices.append([(name, argument.default), (name, other)])
    if 2 ** len(choices) > MOST_PASSES:
        return None
    return [{name: value for name, value in way if value is not _SYMBOL} for way in itertools.product(*choices)]


_SYMBOL = object()


# Symbolic passes ------------------------------------------------------------------------------------------------------


def _trace(model: nn.Module, given: Mapping[str, Any]) -> Pass:
    tracer = _Tracer(model)
    with warnings.catch_warnings(), _Watch(tracer):
        warnings.simplefilter("ignore")
        graph = tracer.trace(model, dict(given))
    if any(symbol() is not None for symbol, _ in tracer.symbols):
        gc.collect()  # what only circles of references hold is not kept
    kept = frozenset(node for symbol, node in tracer.symbols if symbol() is not None)
    return Pass(graph, kept, frozenset(tracer.read))


class _Symbol(fx.Proxy):
    """Stands for a tensor, also where a network asks ``isinstance(x, torch.Tensor)``."""

    _is_param = _is_buffer = False  # of which torch.nn asks what is set on a module

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return Tensor


class _Tracer(fx.Tracer):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.own = {id(tensor) for tensor in _tensors(model)}
        self.read: set[int] = set()
        self.symbols: list[tuple[weakref.ref[fx.Proxy], fx.Node]] = []

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Layers and torch's modules are recorded as a whole, and so is what runs hooks."""
        ours = isinstance(m, (AveragingLayer, GapJunction, FrozenAverage, NormalizedLinear))
        return ours or has_hooks(m) or super().is_leaf_module(m, module_qualified_name)

    def call_module(self, m: nn.Module, forward: Any, args: Any, kwargs: Any) -> Any:
        """Containers that a network makes on the way, as slices of Sequential are, are traced through."""
        if m not in (self.submodule_paths or ()) and not self.is_leaf_module(m, ""):
            return forward(*args, **kwargs)
        return super().call_module(m, forward, args, kwargs)

    def proxy(self, node: fx.Node) -> fx.Proxy:
        symbol = _Symbol(node, self)
        self.symbols.append((weakref.ref(symbol), node))
        return symbol

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Any]) -> Any:
        """Parameters as they are, so that `_Watch` sees who reads them."""
        del attr, parameter_proxy_cache
        return attr_val

    def create_arg(self, a: Any) -> Any:
        if issubclass(type(a), fx.Proxy):  # before anything asks whether it is a tensor
            return a.node
        self.note(a)
        return super().create_arg(a)

    def note(self, value: Any) -> None:
        """Note that a tensor, or what a module holds, is read."""
        if isinstance(value, nn.Module):
            self.read.update(map(id, _tensors(value)))
        elif id(value) in self.own:
            self.read.add(id(value))


class _Watch(TorchFunctionMode):
    """Notes which tensors of a network operations read while it is traced."""

    def __init__(self, tracer: _Tracer) -> None:
        super().__init__()
        self.tracer = tracer

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        fx.node.map_aggregate((args, kwargs), self.tracer.note)
        return func(*args, **kwargs)


def has_hooks(module: nn.Module) -> bool:
    """Whether hooks see or change what the module is given or returns."""
    return bool(module._forward_hooks or module._forward_pre_hooks)


# What tracing would have shown ----------------------------------------------------------------------------------------


def asks_for_types(model: nn.Module) -> bool:
    """Whether code of the network may do one thing or another by the class of a module.

    Its classes and the functions that they call by name are searched for ``isinstance`` and the like, those of torch
    and of this package left out.
    """
    classes = {kind for module in model.modules() for kind in type(module).__mro__ if not _is_known(kind.__module__)}
    waiting = [function for kind in classes for function in vars(kind).values() if inspect.isfunction(function)]
    seen: set[Any] = set()
    while waiting:
        function = waiting.pop()
        if function in seen or _is_known(function.__module__):
            continue
        seen.add(function)
        names = _names(function.__code__)
        if names & {"isinstance", "issubclass", "type", "__class__", "MATCH_CLASS"}:
            return True
        waiting += [found for name in names if inspect.isfunction(found := function.__globals__.get(name))]
    return False


def _is_known(module: str | None) -> bool:
    return (module or "").partition(".")[0] in ("torch", "conductance", "builtins")


def _names(code: CodeType) -> set[str]:
    """The global names and attributes in a function and in those defined within it."""
    matched = {"MATCH_CLASS"} if any(each.opname == "MATCH_CLASS" for each in dis.get_instructions(code)) else set()
    inner = [_names(constant) for constant in code.co_consts if isinstance(constant, CodeType)]
    return set(code.co_names).union(matched, *inner)
