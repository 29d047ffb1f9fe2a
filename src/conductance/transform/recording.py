"""What a model does with an example: every operation and every call of a layer, and who feeds whom.

The model itself runs, so networks that ``torch.fx`` cannot trace (other libraries' as a rule) can be recorded as well.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.lazy import LazyModuleMixin
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from conductance.errors import InputError
from conductance.nested import tensors_of
from conductance.nn.modes import as_tensors, evaluating, run_example
from conductance.ranges import Extent, extent

DATA, PARAMETER, CONSTANT, CALL, UNKNOWN = "data", "parameter", "constant", "call", "unknown"


@dataclass(eq=False)
class Value:
    """What one operation returns, its outputs taken together.

    Attributes:
        op: the operator of torch (aten) that made it; or DATA, PARAMETER, CONSTANT, CALL of a module that is recorded
            as a whole, or UNKNOWN.
        module: the name of the module that was called, or of the innermost one in which the operation stands.
        inputs: the values that were read.
        arguments: all arguments in their order, with values in the places of tensors; and those by name.
        seen: the extent of data and constants.
        readers: the values made from this one.
        writers: operations that wrote into its memory afterwards.
        is_output: whether the model returned it.
    """

    op: Any
    module: str
    inputs: tuple["Value", ...] = ()
    arguments: tuple[Any, Any] = ((), {})
    seen: Extent | None = None
    readers: list["Value"] = field(default_factory=list)
    writers: list["Value"] = field(default_factory=list)
    is_output: bool = False

    @property
    def name(self) -> str:
        """The operator's name, the same for the one that writes in place."""
        return self.op if isinstance(self.op, str) else self.op.overloadpacket.__name__.rstrip("_")


@dataclass
class Recording:
    """One pass of a model.

    Attributes:
        values: all of them, in the order in which they were made.
        inputs: for each module that was recorded as a whole, the extent of what it read in all its calls.
        read_outside: names of such modules whose own tensors were read by others too.
    """

    values: list[Value]
    inputs: dict[str, Extent]
    read_outside: set[str]

    def calls(self, name: str) -> list[Value]:
        """The calls of a module that was recorded as a whole."""
        return [value for value in self.values if value.op == CALL and value.module == name]


@torch.no_grad()
def let_lazy_layers_run(model: nn.Module, example: Any) -> None:
    """Give ``nn.LazyLinear`` and its kin their sizes, and so the classes that they stand for."""
    if any(isinstance(part, LazyModuleMixin) for part in model.modules()):
        with evaluating(model):
            run_example(model, as_tensors(model, example), "example")


@torch.no_grad()
def record(model: nn.Module, example: Any, whole: Collection[nn.Module]) -> Recording:
    """Run a model on an example, in evaluation mode, and take note.

    Args:
        model: any module.
        example: in any form that `modes.call` takes.
        whole: modules whose calls are recorded as one step each, whatever they do inside.

    Raises:
        InputError: the example holds no samples, or NaN or infinite values, or the model does not take it.
    """
    example = as_tensors(model, example)
    for part in tensors_of(example):
        if not extent(part).within(float("-inf"), float("inf")):
            raise InputError("the example holds NaN or infinite values; give one of finite numbers")
    recorder = _Recorder(model, example, whole)
    with evaluating(model), torch.compiler.set_stance("force_eager"), _layers_called(), recorder.watching():
        output = run_example(model, example, "example")
    recorder.note_output(output)
    return Recording(recorder.values, recorder.inputs, recorder.read_outside)


@contextmanager
def _layers_called() -> Iterator[None]:
    """Have torch's encoder layers call the layers in them, whose weights they would read by themselves otherwise."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


class _Recorder(TorchDispatchMode):
    def __init__(self, model: nn.Module, example: Any, whole: Collection[nn.Module]) -> None:
        super().__init__()
        self.model, self.whole = model, whole
        self.values: list[Value] = []
        self.inputs: dict[str, Extent] = {}
        self.read_outside: set[str] = set()
        self.within: list[str] = []  # the modules that are running, by name
        self.inside_whole = 0
        self.held: dict[int, tuple[Tensor, Value]] = {}  # tensors, kept so that no other gets the id of one
        self.in_memory: dict[int, list[int]] = defaultdict(list)
        self.owners = {id(own): name for name, part in model.named_modules() if part in whole for own in _tensors(part)}
        self.parameters = {id(parameter) for parameter in model.parameters()}
        for part in tensors_of(example):
            self._hold(part, self._add(Value(DATA, "", seen=extent(part))))

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        if not self.inside_whole:
            self._note(func, args, kwargs or {}, output)
        return output

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Hooks on all modules that say which of them is running."""
        handles = []
        for name, part in self.model.named_modules():
            whole = part in self.whole
            handles.append(part.register_forward_pre_hook(_bound(self._enter, name, whole), with_kwargs=True))
            handles.append(part.register_forward_hook(_bound(self._leave, name, whole), with_kwargs=True))
        try:
            with self:
                yield
        finally:
            for handle in handles:
                handle.remove()

    def _enter(self, name: str, whole: bool, module: nn.Module, args: Any, kwargs: Any) -> None:
        del module, args, kwargs
        self.within.append(name)
        self.inside_whole += whole

    def _leave(self, name: str, whole: bool, module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        del module
        if whole:
            if self.inside_whole == 1:
                self._note_call(name, args, kwargs, output)
            self.inside_whole -= 1
        self.within.pop()

    def _note_call(self, name: str, args: Any, kwargs: Any, output: Any) -> None:
        given = [each for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)]
        value = self._add(Value(CALL, name, tuple(map(self._value, given))))
        seen = extent(given[0]) if given else Extent(0.0, 0.0)
        before = self.inputs.get(name, seen)
        self.inputs[name] = Extent(min(before.low, seen.low), max(before.high, seen.high))
        for each in tree_leaves(output):
            if isinstance(each, Tensor):
                self._hold(each, value)

    def _note(self, func: Any, args: Any, kwargs: Any, output: Any) -> None:
        arguments = tree_map(lambda each: self._value(each) if isinstance(each, Tensor) else each, (args, kwargs))
        inputs = tuple(each for each in tree_leaves(arguments) if isinstance(each, Value))
        made = [each for each in tree_leaves(output) if isinstance(each, Tensor)]
        name = self.within[-1] if self.within else ""
        if not inputs and made:
            value = self._add(Value(CONSTANT, name, seen=_extent(made[0])))
        else:
            value = self._add(Value(func, name, inputs, arguments))
        if func._schema.is_mutable:
            self._note_writing(args, value)
        for each in made:
            self._hold(each, value)

    def _note_writing(self, args: Any, value: Value) -> None:
        """What else lies in the memory that was written into is not known any more."""
        target = args[0]
        if not isinstance(target, Tensor) or not target.numel():
            return
        for key in self.in_memory[_memory(target)]:
            tensor, before = self.held[key]
            if before is not value:
                before.writers.append(value)
                if tensor is not target:
                    self.held[key] = (tensor, self._add(Value(UNKNOWN, value.module, (before, value))))
        self._hold(target, value)

    def _value(self, tensor: Tensor) -> Value:
        """What a tensor is; one that no operation made is a parameter or a constant."""
        if id(tensor) in self.owners:
            self.read_outside.add(self.owners[id(tensor)])
        if id(tensor) not in self.held:
            kind = PARAMETER if id(tensor) in self.parameters else CONSTANT
            self._hold(tensor, self._add(Value(kind, "", seen=_extent(tensor))))
        return self.held[id(tensor)][1]

    def _hold(self, tensor: Tensor, value: Value) -> None:
        if id(tensor) not in self.held:
            self.in_memory[_memory(tensor)].append(id(tensor))
        self.held[id(tensor)] = (tensor, value)

    def _add(self, value: Value) -> Value:
        for each in value.inputs:
            each.readers.append(value)
        self.values.append(value)
        return value

    def note_output(self, output: Any) -> None:
        """Mark the values that the model returned."""
        for tensor in _found_in(output):
            if id(tensor) in self.held:
                self.held[id(tensor)][1].is_output = True


def _bound(function: Any, name: str, whole: bool) -> Any:
    return lambda *given: function(name, whole, *given)


def _tensors(module: nn.Module) -> Iterator[Tensor]:
    yield from module.parameters()
    yield from module.buffers()


def _memory(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _extent(tensor: Tensor) -> Extent:
    return extent(tensor) if not tensor.is_complex() and not tensor.is_meta else Extent(float("nan"), float("nan"))


def _found_in(output: Any) -> Iterator[Tensor]:
    """The tensors in whatever a model returns: containers, mappings, or an object with attributes."""
    if isinstance(output, Tensor):
        yield output
    elif isinstance(output, dict) or hasattr(output, "values"):
        for part in output.values():
            yield from _found_in(part)
    elif isinstance(output, (tuple, list)):
        for part in output:
            yield from _found_in(part)
    elif hasattr(output, "__dict__"):
        for part in vars(output).values():
            if isinstance(part, (Tensor, tuple, list, dict)):
                yield from _found_in(part)
