"""A network as a graph: tensors in, tensors out, each by its name."""

import inspect
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from conductance import functional, kernels
from conductance.errors import InputError
from conductance.nested import all_finite
from conductance.nn import AveragingLayer
from conductance.nn.modes import as_tensors
from conductance.transform.freeze import freeze
from conductance.transform.frozen import FrozenAverage

Named = dict[str, Tensor]

TOLERANCE = 1e-4
"""How far an exported network may be from the one in torch: of values up to 1, and of the largest value above that."""


@dataclass(frozen=True)
class Difference:
    """How far an exported network is from the network itself.

    Attributes:
        samples: so many were compared.
        largest: the largest distance of each output, absolute; relative to the output's largest size where that is
            above 1.
        same_class: for how many samples the first output is greatest at the same place; None if it is no table of
            samples by classes.
    """

    samples: int
    largest: dict[str, float]
    same_class: int | None = None


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        file: where.
        inputs: names of the inputs.
        outputs: names of the outputs: "output", or the names that the model gives them; then, where they were asked
            for, E', I' and z of each layer as "LAYER.E", "LAYER.I" and "LAYER.z".
        operators: which ones the graph uses; empty where they are torch's.
        difference: how far it is from the network, when it runs as it will elsewhere.
    """

    file: Path
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    operators: tuple[str, ...]
    difference: Difference


def layer_names(model: nn.Module) -> list[str]:
    """The names of its layers that average."""
    return [
        name or "layer" for name, part in model.named_modules() if isinstance(part, (AveragingLayer, FrozenAverage))
    ]


class Graph(nn.Module):
    """A frozen copy of a model that takes its tensors one by one and returns a tuple of them.

    Args:
        model: any module.
        example: its input, in any form that `modes.call` takes.
        preprocessing: what the first input goes through before the model.
        internals: return E', I' and z of each layer too.

    Raises:
        InputError: the model does not take the example, or returns no tensors.
    """

    def __init__(self, model: nn.Module, example: Any, preprocessing: nn.Module | None, internals: bool) -> None:
        super().__init__()
        self.network = freeze(model)
        self.preprocessing = preprocessing
        self.internals = internals
        self._notes = _Notes()
        if internals:
            self.network = _with_views(self.network, self._notes)
        arguments = _arguments(self.network, as_tensors(self.network, example))
        leaves, self._structure = pytree.tree_flatten(arguments)
        self._leaves = [None if isinstance(leaf, Tensor) else leaf for leaf in leaves]
        self._tensors = [place for place, leaf in enumerate(leaves) if isinstance(leaf, Tensor)]
        self.example = tuple(leaf for leaf in leaves if isinstance(leaf, Tensor))
        if not self.example or not self.example[0].ndim or not len(self.example[0]):
            raise InputError("the example has no samples; give the model's input with at least one")
        if not all_finite(*self.example):
            raise InputError("the example holds NaN or infinite values; give one of finite numbers")
        self.inputs = tuple(_named(_bound(self.network, *arguments)))
        self.output_names: tuple[str, ...] = ()
        with torch.no_grad():
            self(*(each[:2] if self.batched(each) else each for each in self.example))
        if not self.output_names:
            raise InputError(f"{type(model).__name__} returns no tensor, so there is nothing to export")

    def batched(self, value: Tensor) -> bool:
        """Whether an input has an entry for each sample."""
        return value.ndim > 0 and len(value) == len(self.example[0])

    def few(self) -> tuple[Tensor, ...]:
        """Two samples of the example: one would look as if there were no more."""
        return tuple(torch.cat([each, each])[:2] if self.batched(each) else each for each in self.example)

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """The tensors that the model returns, then those of its layers."""
        leaves = list(self._leaves)
        for place, tensor in zip(self._tensors, tensors, strict=True):
            leaves[place] = tensor
        if self.preprocessing is not None:
            leaves[self._tensors[0]] = self.preprocessing(tensors[0])
        args, kwargs = pytree.tree_unflatten(leaves, self._structure)
        self._notes.seen = {}
        found = _named({"output": self.network(*args, **kwargs)}) | self._notes.seen
        self.output_names = tuple(found)
        return tuple(found.values())

    def outputs(self) -> Named:
        """What it returns for the example."""
        with torch.no_grad():
            return dict(zip(self.output_names, self(*self.example), strict=True))


def difference(expected: Named, found: Sequence[np.ndarray], tolerance: float, samples: int) -> Difference:
    """Compare outputs.

    Raises:
        InputError: they differ by more than the tolerance.
    """
    largest: dict[str, float] = {}
    same_class = None
    for (name, tensor), other in zip(expected.items(), found, strict=True):
        wanted, got = tensor.double().cpu().numpy(), np.asarray(other, np.float64)
        if wanted.shape != got.shape:
            raise InputError(f"the exported network gives {name} the shape {got.shape}, not {wanted.shape}")
        size = max(1.0, float(np.abs(wanted).max(initial=0)))
        largest[name] = float(np.abs(wanted - got).max(initial=0)) / size
        if not largest[name] <= tolerance:
            raise InputError(
                f"the exported network differs: {name} by {largest[name]:.2g}, and tolerance={tolerance:g}; nothing "
                "was written"
            )
        if len(largest) == 1 and got.ndim == 2:
            same_class = int((wanted.argmax(1) == got.argmax(1)).sum())
    return Difference(samples, largest, same_class)


@contextmanager
def quietly() -> Iterator[None]:
    """Exporting without what torch says about its own parts while it does so."""
    loud = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript")]
    before = [each.level for each in loud]
    for each in loud:
        each.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for each, level in zip(loud, before, strict=True):
            each.setLevel(level)


def refused(model: nn.Module, error: Exception) -> InputError:
    """Why a network cannot be exported, in one line."""
    cause = error
    while cause.__cause__ is not None:
        cause = cause.__cause__  # type: ignore[assignment]
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()] or [type(cause).__name__]
    return InputError(
        f"{type(model).__name__} cannot be exported: {lines[0]} (torch.export follows a forward pass without "
        "looking at values; see torch.export.export)"
    )


# Names of inputs and outputs ------------------------------------------------------------------------------------------


def _arguments(model: nn.Module, batch: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    keywords = dict(batch) if isinstance(batch, Mapping) else {}
    args = () if keywords else batch if isinstance(batch, tuple) else (batch,)
    _bound(model, args, keywords)
    return args, keywords


def _bound(model: nn.Module, args: tuple[Any, ...], keywords: dict[str, Any]) -> dict[str, Any]:
    """Arguments by the names that the model has for them."""
    signature = inspect.signature(model.forward)
    try:
        bound = signature.bind(*args, **keywords).arguments
    except TypeError as error:
        raise InputError(f"{type(model).__name__}.forward does not take the example: {error}") from None
    found: dict[str, Any] = {}
    for name, value in bound.items():
        of_a_kind = signature.parameters[name].kind
        if of_a_kind == inspect.Parameter.VAR_KEYWORD:
            found |= value
        elif of_a_kind == inspect.Parameter.VAR_POSITIONAL and len(value) == 1:
            found[name] = value[0]
        else:
            found[name] = value
    return found


def _named(values: Mapping[str, Any]) -> Named:
    """All tensors in nested containers, by the path that leads to each; a mapping that is alone gives its own names."""
    found: Named = {}
    for name, value in values.items():
        if isinstance(value, Tensor):
            found[name] = value
        elif isinstance(value, Mapping):
            inner = _named({str(key): part for key, part in value.items()})
            found |= inner if len(values) == 1 else {f"{name}.{key}": part for key, part in inner.items()}
        elif isinstance(value, (tuple, list)):
            found |= _named({f"{name}.{place}": part for place, part in enumerate(value)})
    return found


# E', I' and z of each layer -------------------------------------------------------------------------------------------


class _Notes:
    """What the layers of one pass noted. (torch.export copies a dict of a module, but not what it does not know.)"""

    seen: Named


class _View(nn.Module):
    """A layer that notes what its units average; where it runs several times, the last of them counts."""

    def __init__(self, layer: AveragingLayer | FrozenAverage, name: str, notes: _Notes) -> None:
        super().__init__()
        self.layer, self.name, self.notes = layer, name, notes

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:  # what code for torch's layers asks of one
            return getattr(super().__getattr__("layer"), name)

    def forward(self, p: Tensor, extra_conductances: Tensor | None = None) -> Tensor:
        """As the layer's."""
        layer = self.layer
        both = kernels.dense(layer.open_conductances(p, extra_conductances), layer.channel_axis)
        joined = both
        if layer.pooled_interneuron:
            joined = both + functional.pooled_conductances(both, layer.channel_axis)
        E, I = joined.chunk(2, layer.channel_axis)
        seen = self.notes.seen
        seen |= {f"{self.name}.E": E, f"{self.name}.I": I}
        averages = layer.averages if isinstance(layer, FrozenAverage) else layer.average
        if not averages:
            return both
        seen[f"{self.name}.z"] = (E - I) / (E + I)
        return layer.respond(both, p)


def _with_views(model: nn.Module, notes: _Notes) -> nn.Module:
    kinds = (AveragingLayer, FrozenAverage)
    if isinstance(model, kinds):
        return _View(model, "layer", notes)
    names: dict[int, _View] = {}
    waiting = [("", model)]
    while waiting:
        prefix, holder = waiting.pop()
        for key, part in holder._modules.items():
            name = f"{prefix}{key}"
            if isinstance(part, kinds):
                holder._modules[key] = names.setdefault(id(part), _View(part, name, notes))
            elif part is not None:
                waiting.append((f"{name}.", part))
    if not names:
        raise InputError(f"{type(model).__name__} has no layer with E', I' and z; export it without internals")
    return model
