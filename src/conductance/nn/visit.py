"""Walks through a network: what each conductance layer receives from one batch."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from conductance.nn.base import ConductanceLayer
from conductance.nn.modes import evaluating


@torch.no_grad()
def visit(model: nn.Module, batch: Tensor, look: Callable[[str, ConductanceLayer, Tensor], None]) -> None:
    """Run ``model`` on a batch and call ``look(name, layer, p)`` just before each conductance layer receives its p.

    The model is run in evaluation mode and left as it was, but for what ``look`` does to a layer. A compiled one is run
    as if it were not, for what is compiled does not see that it is looked at.
    """
    visit_inputs(model, batch, lambda name, layer, p, _: look(name, layer, p))


def visit_inputs(
    model: nn.Module, batch: Tensor, look: Callable[[str, ConductanceLayer, Tensor, Tensor | None], None]
) -> None:
    """`visit`, with what is ``extra_conductances`` open."""

    def hook(name: str, layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        assert isinstance(layer, ConductanceLayer)
        given = {**dict(zip(("p", "extra_conductances"), args, strict=False)), **kwargs}
        look(name, layer, given["p"], given.get("extra_conductances"))

    handles = [
        module.register_forward_pre_hook(partial(hook, name), with_kwargs=True)
        for name, module in model.named_modules()
        if isinstance(module, ConductanceLayer)
    ]
    try:
        with evaluating(model), torch.compiler.set_stance("force_eager"):
            model(batch)
    finally:
        for handle in handles:
            handle.remove()
