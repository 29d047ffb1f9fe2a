"""The size of a network: shapes, parameters, synapses and multiply-adds of every layer."""

import math
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from conductance.checked import checked
from conductance.errors import InputError
from conductance.nn.base import AveragingLayer
from conductance.nn.conductance import ConductanceLayer
from conductance.nn.modes import evaluating, require_module, run_example
from conductance.text_table import table


@dataclass(frozen=True)
class LayerSize:
    """One layer.

    Attributes:
        name: in the model.
        kind: its class.
        output: the shape of what it returns for one sample.
        parameters: how many numbers are learnt in it.
        synapses: how many connections it has: conductances, or weights of an affine layer.
        multiply_adds: of its products, for one sample, in all calls. A conductance with a valence of +1 or -1 costs
            one for each position, as an affine weight does; graded valences cost two.
    """

    name: str
    kind: str
    output: tuple[int, ...]
    parameters: int
    synapses: int
    multiply_adds: int


@dataclass(frozen=True)
class Summary:
    """The size of a network; ``print`` shows it as a table.

    Attributes:
        layers: those that have weights, in the order in which they ran.
        parameters: of the whole network.
    """

    layers: list[LayerSize]
    parameters: int

    @property
    def synapses(self) -> int:
        """Of all layers."""
        return sum(layer.synapses for layer in self.layers)

    @property
    def multiply_adds(self) -> int:
        """Of all layers, for one sample."""
        return sum(layer.multiply_adds for layer in self.layers)

    def to_dict(self) -> dict[str, Any]:
        """The same as plain values."""
        totals = {"parameters": self.parameters, "synapses": self.synapses, "multiply_adds": self.multiply_adds}
        return {"layers": [asdict(layer) for layer in self.layers], **totals}

    def __str__(self) -> str:
        rows = [
            (layer.name or "(the model)", layer.kind, " x ".join(map(str, layer.output)), *_grouped(layer))
            for layer in self.layers
        ]
        total = ("total", "", "", *_grouped(self))
        return "\n".join(table(("layer", "kind", "output", "parameters", "synapses", "multiply-adds"), [*rows, total]))


def _grouped(size: LayerSize | Summary) -> tuple[str, str, str]:
    return f"{size.parameters:,}", f"{size.synapses:,}", f"{size.multiply_adds:,}"


@checked
@torch.no_grad()
def summary(model: nn.Module, batch: Any) -> Summary:
    """The size of every layer that has weights: convolutions and linear layers, of conductances or affine.

    Args:
        model: any module; it runs once in evaluation mode and is left as it was.
        batch: its input, in any form that `observe` takes; one sample is enough.

    Raises:
        InputError: the model has no such layers, or does not take the batch.
    """
    require_module(model)
    found: dict[str, LayerSize] = {}

    def look(name: str, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        if not isinstance(output, Tensor):
            return
        weight = _weight(module)
        samples = len(args[0]) if args and isinstance(args[0], Tensor) and args[0].ndim else 1
        sums = output.numel() // max(samples, 1)
        fan_in = math.prod(weight.shape[1:])
        if isinstance(module, nn.modules.conv._ConvTransposeNd):  # each input reaches a kernel of outputs
            sums, fan_in = args[0].numel() // max(samples, 1), math.prod(weight.shape[1:])
        if isinstance(module, AveragingLayer) and not module.average:
            sums //= 2
        products = _products(module)
        before = found[name].multiply_adds if name in found else 0
        found[name] = LayerSize(
            name,
            type(module).__name__,
            tuple(output.shape[1:]),
            sum(each.numel() for each in module.parameters()),
            weight.numel(),
            before + sums * fan_in * products,
        )

    handles = [
        module.register_forward_hook(partial(look, name))
        for name, module in model.named_modules()
        if isinstance(module, (AveragingLayer, nn.Linear, nn.modules.conv._ConvNd))
    ]
    try:
        with evaluating(model), torch.compiler.set_stance("force_eager"):
            run_example(model, batch, "batch")
    finally:
        for handle in handles:
            handle.remove()
    if not found:
        raise InputError("no linear layer or convolution of the model ran on the batch")
    return Summary(list(found.values()), sum(each.numel() for each in model.parameters()))


def _weight(module: nn.Module) -> Tensor:
    weight = module.g if isinstance(module, ConductanceLayer) else module.weight
    assert isinstance(weight, Tensor)
    return weight


def _products(module: nn.Module) -> int:
    """How many products each connection takes part in."""
    if isinstance(module, ConductanceLayer):
        valence = module.presynaptic
        signs = set(valence.class_values) <= {1.0, -1.0} and valence.class_values
        return 1 if signs or valence.is_default_pair else 2
    return 2 if isinstance(module, AveragingLayer) else 1
