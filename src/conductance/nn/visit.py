"""Walks through a network: what each conductance layer receives from one batch."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from conductance.errors import InputError
from conductance.nested import tensors_of
from conductance.nn.base import AveragingLayer
from conductance.nn.conductance import ConductanceLayer
from conductance.nn.modes import as_tensors, evaluating, require_module, run_example
from conductance.nn.origin import Origin
from conductance.ranges import extent, refusal_of_input


@torch.no_grad()
def visit(model: nn.Module, batch: Any, look: Callable[[str, ConductanceLayer, Tensor], None]) -> None:
    """Run ``model`` on a batch and call ``look(name, layer, p)`` just before each conductance layer receives its p.

    The model is run in evaluation mode and left as it was, but for what ``look`` does to a layer. A compiled one is run
    as if it were not, for what is compiled does not see that it is looked at.

    Args:
        model: a layer or a model.
        batch: the model's input, in any form that `modes.call` takes.
        look: what to do.

    Raises:
        InputError: the batch is nothing that the model takes; an averaging layer is given a negative value or NaN; or
            one that reads the batch, as it is or pooled or concatenated, is given a value above 1. (Further on,
            BatchNorm or a sum may well exceed 1: z stays in [-1, 1].)
    """
    visit_inputs(model, batch, lambda name, layer, p, _: look(name, layer, p))


def visit_inputs(
    model: nn.Module, batch: Any, look: Callable[[str, ConductanceLayer, Tensor, Tensor | None], None]
) -> None:
    """`visit`, with the ``extra_conductances`` that the layer is given."""
    require_module(model)
    batch = as_tensors(model, batch)
    origin = Origin(tensors_of(batch))

    def hook(name: str, layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        given = {**dict(zip(("p", "extra_conductances"), args, strict=False)), **kwargs}
        p = given["p"]
        _refuse_bad_input(name, p, reads_data=origin.holds(p))
        if isinstance(layer, ConductanceLayer):
            look(name, layer, p, given.get("extra_conductances"))

    handles = [
        module.register_forward_pre_hook(partial(hook, name), with_kwargs=True)
        for name, module in model.named_modules()
        if isinstance(module, AveragingLayer)
    ]
    try:
        with evaluating(model), torch.compiler.set_stance("force_eager"), origin:
            run_example(model, batch, "batch")
    finally:
        for handle in handles:
            handle.remove()


def _refuse_bad_input(name: str, p: Tensor, reads_data: bool) -> None:
    where = f"layer {name}" if name else "the layer"
    problem = refusal_of_input(extent(p), 1.0 if reads_data else float("inf"))
    if problem is None and not p.is_floating_point():
        problem = f"was given {p.dtype}; give floating-point numbers in [0, 1]"
    if problem is not None:
        raise InputError(f"{where} {problem}")
