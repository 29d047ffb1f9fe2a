"""Checks of every layer while a network runs, for debugging."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.modules.module import register_module_forward_pre_hook

from conductance import functional
from conductance.checked import checked
from conductance.eager import eager
from conductance.errors import InputError, UnknownNameError
from conductance.nn import AveragingLayer, ConductanceLayer, SignedLayer
from conductance.ranges import extent, refusal_of_input

if TYPE_CHECKING:
    from torch.utils.hooks import RemovableHandle

Mode = Literal["raise", "warn"]

# From this |z| on a unit counts as saturated: its gradient, (1 - z)/D or (1 + z)/D, is nearly gone.
SATURATED = 0.99


@dataclass
class Validation:
    """What `validate` has found so far.

    Attributes:
        problems: one line for each, naming the layer.
        dead: for each rectifying layer that has run, the units that were open for no sample so far.
        saturated: for each layer that has run, the units at the end of their range for all samples so far.
    """

    problems: list[str] = field(default_factory=list)
    dead: dict[str, list[int]] = field(default_factory=dict)
    saturated: dict[str, list[int]] = field(default_factory=dict)


@checked
@contextmanager
def validate(
    model: nn.Module | None = None,
    *,
    mode: Mode = "raise",
    largest_input: float = 1.0,
    most_dead: float = 0.9,
    most_saturated: float = 0.9,
) -> Iterator[Validation]:
    r"""Check every averaging layer in every forward pass within the context.

    >>> with conductance.validate(model):
    ...     model(images)

    At each call of a layer: its input lies in [0, 1]; its conductances, its leak and those that join it are finite and
    not negative; its output is finite, z in [-1, 1] or p in [0, 1]. When the context ends: not nearly all of a layer's
    units were dead (open for no sample) or saturated (\|z\| above 0.99 for all). Calls of `functional.cwa` are checked
    for their input and conductances. A compiled model runs uncompiled, frozen layers are not checked. Outside the
    context nothing is checked and nothing costs time; within it each check synchronizes a GPU.

    Args:
        model: the model whose layers are checked; None for all layers that run.
        mode: ``"raise"`` an error at the first problem; or ``"warn"`` of each once and go on.
        largest_input: the largest input that is accepted. Behind BatchNorm or a sum of branches it may well be above
            1; z stays in range all the same. Dropout that is active raises it by as much as it scales.
        most_dead: the share of a layer's units that may be dead, in [0, 1].
        most_saturated: the share of a layer's units that may be saturated, in [0, 1].

    Yields:
        The problems, and the dead and saturated units of each layer, up to date when the context has ended.

    Raises:
        InputError: a problem, with the layer and the remedy.
        UnknownNameError: another mode.
    """
    if mode not in get_args(Mode):
        raise UnknownNameError("mode of validation", mode, get_args(Mode))
    watch = _Watch(mode, largest_input, most_dead, most_saturated)
    if model is None:
        watch.handles.append(register_module_forward_pre_hook(lambda module, _: watch.attach_to(module)))
    else:
        watch.attach_to(model)
    functional.checks.append(watch.check_function)
    try:
        with torch.compiler.set_stance("force_eager"):
            yield watch.found
        watch.judge_units()
    finally:
        functional.checks.remove(watch.check_function)
        for handle in watch.handles:
            handle.remove()


class _Watch:
    """The hooks, and what they remember of each layer."""

    def __init__(self, mode: Mode, largest_input: float, most_dead: float, most_saturated: float) -> None:
        self.found = Validation()
        self.mode, self.largest_input = mode, largest_input
        self.most_dead, self.most_saturated = most_dead, most_saturated
        self.handles: list[RemovableHandle] = []
        self.names: dict[nn.Module, str] = {}
        self.networks = 0
        self.reported: set[tuple[str, str]] = set()
        self.never_open: dict[nn.Module, Tensor] = {}
        self.always_saturated: dict[nn.Module, Tensor] = {}

    # While networks run -----------------------------------------------------------------------------------------------

    def attach_to(self, network: nn.Module) -> None:
        """Check the layers of a network from now on, unless they are checked already."""
        if network in self.names:
            return
        self.networks += 1
        suffix = f" of network {self.networks}" if self.networks > 1 else ""
        for name, part in network.named_modules():
            if part not in self.names:
                self.names[part] = f"{name.replace('_orig_mod.', '')}{suffix}"
                if isinstance(part, (AveragingLayer, _DropoutNd)):
                    self.handles.append(part.register_forward_hook(self.look, with_kwargs=True))

    @torch.no_grad()
    def look(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        """Check a layer that has just run."""
        if not eager():
            return
        if isinstance(module, _DropoutNd) and module.training and module.p < 1:
            self.largest_input = max(self.largest_input, 1 / (1 - module.p))
        if isinstance(module, AveragingLayer):
            given = {**dict(zip(("p", "extra_conductances"), args, strict=False)), **kwargs}
            label = self._label(module)
            self._check_conductances(label, module, given.get("extra_conductances"))
            self._check_input(label, given["p"])
            self._check_output(label, module, output)
            if module.average:
                self._remember_units(module, output)

    def check_function(self, p: Tensor, conductance: Tensor) -> None:
        """Check a call of `functional.cwa`."""
        if eager():
            self._check_nonnegative("functional.cwa", "conductance", conductance)
            self._check_input("functional.cwa", p)

    def _check_conductances(self, label: str, layer: AveragingLayer, joining: Tensor | None) -> None:
        if isinstance(layer, ConductanceLayer):
            self._check_nonnegative(label, "conductance", layer.conductance)
        if isinstance(layer, SignedLayer) and not extent(layer.weight).within(-_LARGEST, _LARGEST):
            self._report(label, "weight", f"has weights of {extent(layer.weight)}; {_DIVERGED}")
        self._check_nonnegative(label, "leak", layer.leak())
        if joining is not None:
            self._check_nonnegative(label, "extra_conductances", joining)

    def _check_nonnegative(self, label: str, name: str, conductance: Tensor) -> None:
        seen = extent(conductance)
        if not seen.within(0.0, _LARGEST):
            remedy = _NEGATIVE if seen.low < 0 else _DIVERGED
            self._report(label, name, f"has {name} of {seen}, but conductances are finite and not negative; {remedy}")

    def _check_input(self, label: str, p: Tensor) -> None:
        problem = refusal_of_input(extent(p), self.largest_input)
        if problem is not None:
            self._report(label, "input", problem)

    def _check_output(self, label: str, layer: AveragingLayer, output: Tensor) -> None:
        low, high = (-1.0 if layer.activation is None else 0.0, 1.0) if layer.average else (0.0, _LARGEST)
        seen = extent(output)
        if not seen.within(low, high):
            bounds = f"[{low:g}, {high:g}]" if layer.average else "finite and not negative"
            self._report(label, "output", f"returned {seen}, which should be {bounds}; look at its input first")

    def _report(self, label: str, kind: str, problem: str) -> None:
        line = f"{label} {problem}"
        if (label, kind) not in self.reported:
            self.reported.add((label, kind))
            self.found.problems.append(line)
            if self.mode == "warn":
                warnings.warn(line, stacklevel=2)
        if self.mode == "raise":
            raise InputError(line)

    def _label(self, layer: nn.Module) -> str:
        name, kind = self.names[layer], type(layer).__name__
        return f"layer {name} ({kind})" if name else f"the {kind}"

    # When the context ends --------------------------------------------------------------------------------------------

    def _remember_units(self, layer: AveragingLayer, output: Tensor) -> None:
        units = output.movedim(layer.channel_axis, 0).flatten(1)
        z = 2 * units - 1 if layer.activation == "full_range" else units
        saturated = (z.abs() > SATURATED).all(1)
        self.always_saturated[layer] = saturated & self.always_saturated.get(layer, saturated)
        if layer.activation == "relu":
            closed = (units <= 0).all(1)
            self.never_open[layer] = closed & self.never_open.get(layer, closed)

    def judge_units(self) -> None:
        """Note dead and saturated units, and report layers that have too many."""
        for layer, units in self.never_open.items():
            dead = self.found.dead[self.names[layer]] = units.nonzero().flatten().tolist()
            if len(dead) > self.most_dead * len(units):
                share = f"{len(dead)} of {len(units)} units"
                self._report(self._label(layer), "dead", f"has {share} dead, open for no sample; {_DEAD}")
        for layer, units in self.always_saturated.items():
            saturated = self.found.saturated[self.names[layer]] = units.nonzero().flatten().tolist()
            if len(saturated) > self.most_saturated * len(units):
                share = f"{len(saturated)} of {len(units)} units"
                self._report(self._label(layer), "saturated", f"has {share} saturated, for all samples; {_SATURATED}")


_LARGEST = torch.finfo(torch.float64).max
_NEGATIVE = "clamp them at 0: an inhibitory synapse is a positive conductance from a channel of valence -1"
_DIVERGED = "take smaller steps, clip gradients, or load finite parameters"
_DEAD = "balance excitation and inhibition on a batch (init.initialize)"
_SATURATED = "balance excitation and inhibition on a batch (init.initialize), or give the layer a larger leak"
