"""What each layer of a network becomes: which range it reads, what its activation is, what goes behind it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from torch import nn

from conductance.nn.base import AveragingLayer
from conductance.transform.intervals import SAME, UNBOUNDED, Interval, does_as, intervals, is_elementwise, is_pointwise
from conductance.transform.recording import CALL, Recording, Value
from conductance.transform.survey import Survey, is_norm

Normalization = Literal["drop", "keep"]
Activations = Literal["fuse", "replace", "keep"]

# max(0, x) commutes with these.
_ORDER_PRESERVING = SAME | frozenset(
    (
        "cat", "stack", "slice", "select", "split", "max_pool2d", "max_pool2d_with_indices",
    )
)  # fmt: skip


@dataclass
class PlannedLayer:
    """One layer that is to be converted.

    Attributes:
        name: in the model.
        options: that the user chose for it.
        rectified: whether it returns p, or the membrane potential z.
        reads: the interval of what it is given, whatever the data.
        copied: whether other code writes into what it returns, so that it must return a copy.
        behind: the activation behind it that is kept, by name.
    """

    name: str
    options: Mapping[str, Any]
    rectified: bool = False
    reads: Interval = UNBOUNDED
    copied: bool = False
    behind: str = ""


@dataclass
class Plan:
    """All changes to a model.

    Attributes:
        layers: to be converted, in the order in which they run.
        dropped: normalizations that become the identity.
        fused: activations that become the identity.
        not_in_place: activations that may not write into their input any more.
    """

    layers: dict[str, PlannedLayer]
    dropped: list[str] = field(default_factory=list)
    fused: list[str] = field(default_factory=list)
    not_in_place: list[str] = field(default_factory=list)


def make_plan(
    model: nn.Module,
    recording: Recording,
    found: Survey,
    options: Mapping[str, Any],
    normalization: Normalization,
    activations: Activations,
) -> Plan:
    """Decide about each layer, norm and activation of a model that was recorded."""
    layers = {name: PlannedLayer(name, {**options, **chosen}) for name, chosen in found.layers.items()}
    return _Planner(model, recording, layers, activations).plan(normalization == "drop")


class _Planner:
    def __init__(
        self, model: nn.Module, recording: Recording, layers: dict[str, PlannedLayer], activations: Activations
    ) -> None:
        self.modules = dict(model.named_modules())
        self.recording, self.layers, self.activations = recording, layers, activations
        self.kept_norms: set[str] = set()
        self.replaced: set[str] = set()
        self.changes = Plan(layers)

    def plan(self, drop_norms: bool) -> Plan:
        norms = {value.module for value in self.recording.values if value.op == CALL and self._is_norm(value)}
        self.kept_norms = set() if drop_norms else norms
        while True:  # a norm goes where all that it is given is in a range already
            self._choose_activations()
            bounds = intervals(self.recording.values, self._interval_of_call)
            unbounded = {
                value.module
                for value in self.recording.values
                if value.module in norms and value.op == CALL and not bounds[value.inputs[0]].finite
            }
            if unbounded <= self.kept_norms:
                break
            self.kept_norms |= unbounded
        self.changes.dropped = sorted(norms - self.kept_norms)
        self.changes.fused = sorted(self.replaced | self._without_effect(bounds))
        for name, layer in self.layers.items():
            reads = [bounds[value.inputs[0]] for value in self.recording.calls(name)]
            layer.reads = Interval(min(each.low for each in reads), max(each.high for each in reads))
            layer.behind = self._activation_behind(name)
            self._protect_from_writing(layer)
        return self.changes

    def _is_norm(self, value: Value) -> bool:
        return is_norm(self.modules[value.module])

    def _interval_of_call(self, value: Value, given: Interval) -> Interval:
        module = self.modules[value.module]
        if value.module in self.layers:
            return _of_units("relu" if self.layers[value.module].rectified else None)
        if isinstance(module, AveragingLayer) and module.average:
            return _of_units(module.activation)
        if is_norm(module) and value.module not in self.kept_norms:
            return given
        return UNBOUNDED

    # Activations ------------------------------------------------------------------------------------------------------

    def _choose_activations(self) -> None:
        self.replaced = self._replaceable() if self.activations == "replace" else set()
        for name, layer in self.layers.items():
            if "activation" in layer.options:
                layer.rectified = layer.options["activation"] is not None
            else:
                layer.rectified = self.activations != "keep" and all(map(self._is_rectified, self._calls(name)))

    def _calls(self, name: str) -> list[Value]:
        return self.recording.calls(name)

    def _hands_on(self, value: Value) -> bool:
        """Whether a value is its input's numbers, after all changes."""
        if value.op == CALL:
            return self._is_norm(value) and value.module not in self.kept_norms
        return value.name in _ORDER_PRESERVING

    def _is_rectified(self, value: Value) -> bool:
        """Whether nothing but rectification reads a value."""
        if value.is_output or not value.readers:
            return False
        return all(
            _rectifies(reader)
            or reader.module in self.replaced
            or (self._hands_on(reader) and self._is_rectified(reader))
            for reader in value.readers
        )

    def _after(self, value: Value) -> Iterator[Value]:
        """A value, and what hands its numbers on."""
        yield value
        for reader in value.readers:
            if self._hands_on(reader):
                yield from self._after(reader)

    def _activation_behind(self, name: str) -> str:
        """The kind of the activation that is kept behind a layer."""
        behind = {reader for call in self._calls(name) for value in self._after(call) for reader in value.readers}
        for reader in sorted(behind, key=self.recording.values.index):
            if _bends(reader) and reader.module not in self.changes.fused and not _rectifies(reader):
                module = self.modules[reader.module]
                return reader.name if list(module.children()) else type(module).__name__
        return ""

    def _replaceable(self) -> set[str]:
        """Activation modules other than rectification that read converted layers alone, and do nothing else."""
        found = set()
        inside: dict[str, list[Value]] = {}
        for value in self.recording.values:
            if value.module and value.op != CALL:
                inside.setdefault(value.module, []).append(value)
        for name, values in inside.items():
            module = self.modules[name]
            if list(module.children()) or list(module.parameters()) or not any(map(_bends, values)):
                continue
            entries = {each for value in values for each in value.inputs if each not in values}
            bounded = {value for value in values if value.name in ("sigmoid", "hardsigmoid", "_softmax")}
            if len(values) == len(bounded) or len(entries) != 1 or not all(map(is_elementwise, values)):
                continue  # gates stay gates, and what takes its input apart is more than an activation
            if all(self._is_of_layers(each) and set(each.readers) <= set(values) for each in entries):
                found.add(name)
        return found

    def _is_of_layers(self, value: Value) -> bool:
        if value.op == CALL and value.module in self.layers:
            return True
        return self._hands_on(value) and all(map(self._is_of_layers, value.inputs))

    def _without_effect(self, bounds: Mapping[Value, Interval]) -> set[str]:
        """Modules that rectify what is rectified already."""
        effects: dict[str, bool] = {}
        for value in self.recording.values:
            if value.op != CALL and value.module:
                idle = _rectifies(value) and does_as(
                    value, lambda x: x, bounds[value.inputs[0]] if bounds[value.inputs[0]].low >= 0 else UNBOUNDED
                )
                effects[value.module] = effects.get(value.module, True) and idle
        leaves = {name for name in effects if not list(self.modules[name].children()) and name not in self.layers}
        return {name for name in leaves if effects[name] and not list(self.modules[name].parameters())}

    # Memory -----------------------------------------------------------------------------------------------------------

    def _protect_from_writing(self, layer: PlannedLayer) -> None:
        """A layer needs its output for the backward pass, which an affine one does not."""
        for call in self._calls(layer.name):
            for value in self._same_memory(call):
                for writer in value.writers:
                    if getattr(self.modules[writer.module], "inplace", False) is True:
                        self.changes.not_in_place.append(writer.module)
                    elif writer.module not in self.changes.fused:
                        layer.copied = True

    def _same_memory(self, value: Value) -> Iterator[Value]:
        yield value
        for reader in value.readers:
            dropped = reader.op == CALL and reader.module in self.changes.dropped
            if dropped or reader.module in self.changes.fused or (reader.op != CALL and reader.name in SAME):
                yield from self._same_memory(reader)


def _of_units(activation: str | None) -> Interval:
    return Interval(-1.0, 1.0) if activation is None else Interval(0.0, 1.0)


def _rectifies(value: Value) -> bool:
    """Whether an operation is max(0, x) of potentials."""
    return does_as(value, lambda x: x.clamp(min=0))


def _bends(value: Value) -> bool:
    """Whether an operation is a function that is no straight line."""
    if not is_pointwise(value):
        return False
    return not any(does_as(value, line) for line in _LINES) and value.name not in ("add", "sub", "mul", "div", "neg")


_LINES = (lambda x: x, lambda x: -x)
